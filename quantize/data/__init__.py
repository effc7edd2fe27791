"""Images in, batches out: label lists, containers, preprocessing, the crop cache, the split."""
