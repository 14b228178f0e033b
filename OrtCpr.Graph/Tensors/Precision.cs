namespace OrtCpr.Graph;

/// <summary>In which numbers the products of training are computed. Parameters, moments, losses, normalisations and the optimizer are
/// float32 in each of them, and so are evaluation, prediction and the exported model.</summary>
/// <remarks>Which operator runs in which type follows PyTorch's automatic mixed precision (torch.amp): matrix products, convolutions and
/// their gradients in 16 bits; softmax, normalisations, sums, exponentials and losses in float32; everything else as its inputs.</remarks>
public enum Precision
{
    /// <summary>float32 throughout (default).</summary>
    Float32,

    /// <summary>float32 tensors whose products are rounded to TensorFloat-32, with 10 bits of mantissa, on GPUs that have it; elsewhere
    /// the same as <see cref="Float32"/>.</summary>
    TensorFloat32,

    /// <summary>bfloat16 products: the range of float32, 8 bits of precision.</summary>
    BFloat16,

    /// <summary>IEEE float16 products: 11 bits of precision, numbers up to 65504. The loss is scaled so that gradients do not
    /// vanish.</summary>
    Float16,
}

/// <summary>Facts about precisions.</summary>
internal static class Precisions
{
    /// <summary>The 16-bit type of a precision; null where all tensors are float32.</summary>
    public static ElementType? LowType(this Precision precision) => precision switch
    {
        Precision.BFloat16 => ElementType.BFloat16,
        Precision.Float16 => ElementType.Float16,
        _ => null,
    };

    /// <summary>The smallest positive number of a 16-bit type that has all bits of precision.</summary>
    public static double SmallestNormal(this ElementType type) => type == ElementType.Float16 ? Math.ScaleB(1, -14) : Math.ScaleB(1, -126);
}
