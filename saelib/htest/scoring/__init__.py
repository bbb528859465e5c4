"""From replies to accuracies."""
