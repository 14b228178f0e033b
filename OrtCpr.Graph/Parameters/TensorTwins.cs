using System.Runtime.InteropServices;

namespace OrtCpr.Graph.Parameters;

/// <summary>How two tensors hold the same numbers.</summary>
internal enum TwinKind
{
    Equal,
    Transposed,
    Reshaped,
}

internal sealed record Twin<T>(T First, T Second, TwinKind Kind);

/// <summary>Tensors that are copies of each other, or transposed or reshaped copies, found by a sum over elements that
/// no reordering changes.</summary>
internal static class TensorTwins
{
    /// <summary>Fewer elements, or a single value throughout, prove nothing: biases of zeros are not tied.</summary>
    private const long Fewest = 8;

    /// <summary>Each tensor with the first one that it is a twin of. <c>fewest</c>: elements below which nothing is proved.</summary>
    public static IEnumerable<Twin<T>> Find<T>(IEnumerable<T> all, Func<T, TensorData> data, long fewest = Fewest)
    {
        foreach (IGrouping<(ElementType, long), T> sameSize in all.Where(v => data(v).ElementCount >= fewest)
            .GroupBy(v => (data(v).Type, data(v).ElementCount)))
        {
            if (!sameSize.Skip(1).Any()) continue;
            foreach (IGrouping<ulong, T> bucket in sameSize.GroupBy(v => Sum(data(v))))
            {
                var firsts = new List<T>();
                foreach (T value in bucket)
                {
                    Twin<T>? twin = firsts.Select(f => Compare(data(f), data(value)) is TwinKind kind ? new Twin<T>(f, value, kind) : null)
                        .FirstOrDefault(t => t is not null);
                    if (twin is not null) yield return twin;
                    else if (!IsUniform(data(value))) firsts.Add(value);
                }
            }
        }
    }

    public static TwinKind? Compare(TensorData a, TensorData b)
    {
        if (a.Type != b.Type || a.Bytes.Length != b.Bytes.Length) return null;
        if (a.Bytes.Span.SequenceEqual(b.Bytes.Span)) return a.Dimensions.SequenceEqual(b.Dimensions) ? TwinKind.Equal : TwinKind.Reshaped;
        return a.Dimensions.Count == 2 && b.Dimensions.SequenceEqual(a.Dimensions.Reverse())
            && Transpose(a).Bytes.Span.SequenceEqual(b.Bytes.Span) ? TwinKind.Transposed : null;
    }

    /// <summary>Rows and columns exchanged; rank 2.</summary>
    public static TensorData Transpose(TensorData data)
    {
        int rows = (int)data.Dimensions[0], columns = (int)data.Dimensions[1];
        int size = rows * columns == 0 ? 0 : data.Bytes.Length / (rows * columns);
        ReadOnlySpan<byte> source = data.Bytes.Span;
        byte[] transposed = new byte[data.Bytes.Length];
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++)
                source.Slice(((r * columns) + c) * size, size).CopyTo(transposed.AsSpan(((c * rows) + r) * size));
        }
        return TensorData.Create(data.Type, [columns, rows], transposed);
    }

    private static ulong Sum(TensorData data)
    {
        ulong sum = 0;
        foreach (uint word in MemoryMarshal.Cast<byte, uint>(data.Bytes.Span)) sum += word;
        return sum;
    }

    private static bool IsUniform(TensorData data)
    {
        int size = (int)(data.Bytes.Length / data.ElementCount);
        ReadOnlySpan<byte> bytes = data.Bytes.Span;
        return bytes[size..].SequenceEqual(bytes[..^size]);
    }
}
