using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>Sparse tensors of files as the dense ones that training works on.</summary>
internal static class SparseTensor
{
    /// <summary>Zeros but for the values that the message lists.</summary>
    /// <param name="file">The model.</param>
    /// <param name="sparse">Values, and one linear index or one index per dimension for each of them.</param>
    /// <param name="where">For messages.</param>
    /// <exception cref="ModelFormatException">Values or indices are missing, do not fit each other, or lie
    /// outside.</exception>
    internal static TensorData ToDense(ModelFile file, SparseTensorProto sparse, string where)
    {
        if (sparse.Values is null || sparse.Indices is null)
        {
            throw new ModelFormatException($"Model '{file.Name}', {where}: values or indices are missing. Export the model again.");
        }
        TensorData values = file.Read(new TensorSite(sparse.Values, where));
        long[] indices = file.Read(new TensorSite(sparse.Indices, $"indices of {where}")).ToInt64s();
        long[] dims = [.. sparse.Dims];
        long count = dims.Aggregate(1L, (n, d) => n * d);
        int width = values.Type.BitsPerElement() / 8, rank = indices.Length == values.ElementCount ? 1 : dims.Length;
        if (width == 0 || dims.Any(d => d < 0) || count * width > int.MaxValue || indices.Length != values.ElementCount * rank)
        {
            throw new ModelFormatException($"Model '{file.Name}', {where}: expected one index (or one per dimension) for each of "
                + $"{values.ElementCount} values within 2 GiB; found {indices.Length} indices for shape [{string.Join(',', dims)}]. Export "
                + "the model again.");
        }
        byte[] bytes = new byte[count * width];
        for (int i = 0; i < values.ElementCount; i++)
        {
            long at = 0;
            for (int d = 0; d < rank; d++)
            {
                long index = indices[(i * rank) + d], size = rank == 1 ? count : dims[d];
                if (index < 0 || index >= size)
                {
                    throw new ModelFormatException($"Model '{file.Name}', {where}: index {index} of value {i} lies outside {size} "
                        + "elements. Export the model again.");
                }
                at = (at * size) + index;
            }
            values.Bytes.Span.Slice(i * width, width).CopyTo(bytes.AsSpan((int)at * width));
        }
        return TensorData.Create(values.Type, dims, bytes);
    }
}
