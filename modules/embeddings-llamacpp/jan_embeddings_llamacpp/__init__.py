"""`embeddings-llamacpp`: embeddings by llama.cpp, on the backend `jan-llamacpp`."""
