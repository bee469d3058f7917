"""What tests share: real servers and factories."""
