"""The same pictures, faster: how blocks run. Nothing here is a module, and nothing is stored on one."""
