"""newbie"""
