"""The endpoints that the kernel specifies, an abstract class a file."""
