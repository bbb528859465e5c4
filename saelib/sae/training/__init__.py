"""Training many SAEs from one stream of activations."""
