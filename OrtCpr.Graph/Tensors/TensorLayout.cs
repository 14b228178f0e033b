namespace OrtCpr.Graph;

/// <summary>How many elements and bytes a tensor has; the one place that guards against negative and overflowing dimensions.</summary>
internal static class TensorLayout
{
    /// <summary>Largest tensor in bytes: spans and <see cref="Memory{T}"/> count with 32 bits.</summary>
    internal const long MaxBytes = int.MaxValue;

    /// <summary>Counts elements and packed bytes.</summary>
    /// <param name="type">Element type; strings count as one byte each, which bounds how many there can be.</param>
    /// <param name="dimensions">Shape, outermost first; empty for a scalar.</param>
    /// <param name="elements">Product of the dimensions.</param>
    /// <param name="bytes">Bytes in packed storage, the last one padded.</param>
    /// <returns>What is wrong, as "expected …; found …", or null.</returns>
    internal static string? Measure(ElementType type, IReadOnlyList<long> dimensions, out long elements, out long bytes)
    {
        elements = bytes = 0;
        int bits = type == ElementType.String ? 8 : type.BitsPerElement();
        if (bits == 0)
            return $"expected an element type of ONNX; found {(int)type}";
        for (int axis = 0; axis < dimensions.Count; axis++)
        {
            if (dimensions[axis] < 0)
                return $"expected dimensions of at least 0; found {dimensions[axis]} at axis {axis} of {Describe(type, dimensions)}";
        }
        // A 0 makes the product 0 however large the others are.
        UInt128 product = dimensions.Contains(0) ? 0u : 1u;
        bool tooLarge = false;
        for (int axis = 0; axis < dimensions.Count && product != 0 && !tooLarge; axis++)
        {
            product *= (UInt128)dimensions[axis];
            tooLarge = product > long.MaxValue;
        }
        UInt128 size = ((product * (UInt128)bits) + 7) / 8;
        if (tooLarge || size > (UInt128)MaxBytes)
        {
            string found = tooLarge ? "more than 2^63 elements" : $"{size} bytes";
            return $"expected at most {MaxBytes} bytes (2 GiB − 1); found {found} for {Describe(type, dimensions)}";
        }
        elements = (long)product;
        bytes = (long)size;
        return null;
    }

    /// <summary>Type and shape for messages, as in <c>Float[2,3]</c>.</summary>
    internal static string Describe(ElementType type, IReadOnlyList<long> dimensions) => $"{type}[{string.Join(',', dimensions)}]";
}
