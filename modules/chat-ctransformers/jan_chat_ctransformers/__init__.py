"""`chat-ctransformers`: chat by ctransformers, on the backend `jan-ctransformers`."""
