"""One sparse autoencoder: what it computes, how it trains, how it scores."""
