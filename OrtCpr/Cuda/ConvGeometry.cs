using OrtCpr.Kernels;

namespace OrtCpr.Cuda;

/// <summary>Strides, dilations and pads of a convolution of two spatial axes, as Conv has them.</summary>
internal sealed record ConvGeometry
{
    public required long[] Strides { get; init; }

    public required long[] Dilations { get; init; }

    public required long[] Pads { get; init; }

    /// <summary>Sizes of a convolution; null where they do not belong together.</summary>
    public ConvShape? ShapeOf(ReadOnlySpan<long> x, ReadOnlySpan<long> w, ReadOnlySpan<long> dy)
    {
        if (x.Length != 4 || w.Length != 4 || dy.Length != 4 || x[1] != w[1] || dy[0] != x[0] || dy[1] != w[0])
            return null;
        for (int i = 0; i < 2; i++)
        {
            long reach = ((w[2 + i] - 1) * Dilations[i]) + 1, rest = x[2 + i] + Pads[i] + Pads[2 + i] - reach;
            if (Strides[i] <= 0 || Dilations[i] <= 0 || rest < 0 || dy[2 + i] != (rest / Strides[i]) + 1)
                return null;
        }
        return ConvShape.Of(x, w, dy, Strides, Dilations, Pads);
    }

    /// <summary>A convolution with the same result, padded alike on both sides: images grow by what one side has less.</summary>
    /// <remarks>Both sides get the smaller padding; what the larger one has more becomes zeros in the images.</remarks>
    public ConvShape Even(in ConvShape s)
    {
        long height = Math.Abs(Pads[0] - Pads[2]), width = Math.Abs(Pads[1] - Pads[3]);
        return s with
        {
            Height = s.Height + (nint)height,
            Width = s.Width + (nint)width,
            PadTop = (nint)Math.Min(Pads[0], Pads[2]),
            PadLeft = (nint)Math.Min(Pads[1], Pads[3]),
        };
    }
}
