"""What tests of Jan, of modules and of plugins share: reference implementations, a scripted engine, a wired app."""
