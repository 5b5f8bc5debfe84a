"""The cell types of the Sartorius competition, in label order."""

CLASSES = ('shsy5y', 'astro', 'cort')
"""Label 0, 1 and 2. One image holds cells of one type."""

COMPETITION_IMAGES = {'shsy5y': 155, 'astro': 131, 'cort': 320}
"""Images of each type among the competition's 606: the weights of the mix-weighted mAP."""

PALETTE = [(86, 180, 233), (230, 159, 0), (0, 158, 115)]
"""RGB colour of each class, told apart with colour-blind eyes too (Okabe and Ito, 2008)."""
