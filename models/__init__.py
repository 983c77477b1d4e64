"""Networks, data, training and evaluation. Everything here but ``models.pretrained`` needs the ``train`` extra."""
