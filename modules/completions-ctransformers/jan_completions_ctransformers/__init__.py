"""`completions-ctransformers`: completions by ctransformers, on the backend `jan-ctransformers`."""
