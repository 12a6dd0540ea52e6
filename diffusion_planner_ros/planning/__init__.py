"""Planning: model bundle, denoising, ranking; numpy and onnxruntime only."""
