"""The backend `jan-ctransformers`."""
