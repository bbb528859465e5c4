"""The words of the report, each in a sentence."""

GLOSSARY = {
    "sparse autoencoder (SAE)": "writes an activation vector as a sum of few features, and is trained to lose little.",
    "scratch": "an SAE from random weights.",
    "transfer": "an SAE that starts from the finished scratch SAE of another layer and is trained on at its own.",
    "forward, backward": "the source lies before, or behind, the layer that the transfer is for.",
    "copy, affine map, rotation": "how the source becomes the start: its weights as they are, or carried over by a "
    "linear map between the two layers' activations (any matrix and a shift, or a rotation and a shift). In tables "
    "of results: `copy`, `affine`, `procrustes`.",
    "level": "as good as the finished scratch SAE of the same layer and replicate, by the target that is named. A "
    "transfer *arrives* where it gets level within its budget.",
    "new tokens": "tokens that an SAE is trained on after its start; those of its source are not among them.",
    "budget": "new tokens at which an SAE is scored. With the schedule `wsd` each budget has its own fall of the "
    "learning rate; with `paper` the rate falls once, at the very end.",
    "held-out objective": "squared error plus λ times the sum of the features, on text that no SAE was trained on: "
    "what training makes small.",
    "λ": "the price of a feature in the objective; larger is sparser.",
    "L0": "active features for each token.",
    "CE loss": "cross-entropy of the language model's next token, in nats.",
    "CE-loss score": "1 where splicing in the reconstruction costs no CE loss, 0 where it is as bad as zeros.",
    "CE-loss score at no more L0": "the score counts as reached only where L0 is at most 1.02 times that of the "
    "finished scratch SAE.",
    "saving": "one minus the new tokens that a transfer needs, as a share of those that scratch needs, for the same "
    "level. Negative: it needs more. A transfer that does not arrive counts with its whole budget.",
    "untrained, zero shot": "an SAE at a layer that it has not seen, without any training there.",
    "replicate": "a start seed with an order of the data of its own; the same ones in all arms.",
    "95% interval": "layer transfer: bootstrap over replicates and held-out rows; H-Test: over items. Layers are not "
    "drawn: tables by layer show how they differ.",
    "open": "the interval holds the border between yes and no, or the paper's number is nearer to it than that.",
    "MMCS": "mean over decoder rows of the largest cosine with a row of another SAE's decoder.",
    "feature transfer": "tokens that two features share among those whose logits they raise and lower most and those "
    "at which they are strongest, as a share of all that could be shared.",
    "attribution": "a feature's activation times the gradient of the answer's logit over a wrong one's; the largest of "
    "a prompt counts.",
    "circuit": "features of one layer's SAE that are kept, by position; the others stand at their mean.",
    "faithfulness, completeness": "how much of the answer a circuit gives alone (1: all of it), and how much is left "
    "without it (0: nothing). Above 1 and below 0 are no errors: a circuit lacks what opposes the answer.",
    "shots (k)": "solved examples before the question, half of them A.",
    "AUROC": "how often an A item has a larger margin log p(A) − log p(B) than a B item; 50% is guessing. It does not "
    "see a liking for one letter.",
    "accuracy at the median margin": "accuracy where as many A as B are said: the median margin is the border.",
}
