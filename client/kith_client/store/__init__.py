"""What a device keeps on its disk: the mirror, the key file, and the folder that holds both."""
