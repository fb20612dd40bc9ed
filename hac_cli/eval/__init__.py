"""How good the codec is: metrics of decoded speech against the original."""
