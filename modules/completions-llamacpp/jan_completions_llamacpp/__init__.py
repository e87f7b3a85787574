"""`completions-llamacpp`: completions by llama.cpp, on the backend `jan-llamacpp`."""
