using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Fourier transforms. Complex numbers are pairs on the last axis.</summary>
internal static class SpectralRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["DFT"] = DFT,
        ["STFT"] = ByDefinition.Rule(STFT),
    };

    /// <summary>y = Fx: dx = Fᴴ·dy, which is the transform in the other direction without its scale. Frequencies that a
    /// one-sided result left out get zeros; samples that were cut off or added as zeros are put back or
    /// dropped.</summary>
    private static Value?[] DFT(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        bool inverse = op.Node.Int("inverse", 0) != 0;
        int axis = Axis(op);
        Term size = g.DimOf(x, axis), length = op.TryIn(1) is Value given ? g.Reshape(g.Cast(given, ElementType.Int64), 1) : size;
        Term full = PadAxis(g, dy, axis, length - g.DimOf(dy, axis));
        (string, object)[] where = op.Node.Has("axis") ? [("axis", op.Node.Int("axis", 1)), ("inverse", !inverse)]
            : [("inverse", !inverse)];
        Term back = g.Op("DFT", [full, null, op.TryIn(2)], where);
        // A real input takes the real part.
        if (x.Shape?[^1].Known != 2) back = g.Op("Slice", [back, g.Ints(0), g.DimOf(x, -1), g.Ints(-1)]);
        Term scale = g.Cast(g.Squeeze(length, 0), x.Type);
        Term scaled = inverse ? back / scale : back * scale;
        return [GraphBuilder.Like(PadAxis(g, scaled, axis, size - length), x)];
    }

    private static int Axis(Forward op)
    {
        long axis = op.TryIn(2) is null ? op.Node.Int("axis", -2)
            : op.Constants(2) is [long given] ? given
            : throw new UnsupportedGradientException(
                $"The axis of node {op.Node.Label} is not constant. Export the model with a constant axis.");
        return op.In(0).Shape is Shape shape ? shape.Axis(axis) : op.Rank(0);
    }

    private static Term PadAxis(GraphBuilder g, Term value, int axis, Value count) =>
        g.Folded(count).ConstantIntegers is [0] ? value : g.Op("Pad", [value, g.Concat(0, g.Ints(0), count), null, g.Ints(axis)]);

    /// <summary>Windows of the signal, each multiplied by the window function and transformed. [batch, length, 1 or 2]
    /// → [batch, frames, frequencies, 2].</summary>
    private static Term STFT(GraphBuilder g, Forward op)
    {
        Term signal = op.In(0), step = op.In(1);
        Term length = op.TryIn(3) is Value given ? g.Reshape(g.Cast(given, ElementType.Int64), 1) : g.DimOf(op.In(2), 0);
        Term frames = (g.DimOf(signal, 1) - length) / g.Reshape(g.Cast(step, ElementType.Int64), 1) + g.Ints(1);
        Term at = g.Unsqueeze(g.Positions(frames) * g.Reshape(g.Cast(step, ElementType.Int64), 1), 1) + g.Unsqueeze(g.Positions(length), 0);
        Term cut = g.Gather(signal, GraphBuilder.Typed(at, ElementType.Int64, new Shape(Dim.Unknown, Dim.Unknown)), 1);
        if (op.TryIn(2) is Value window) cut = cut * g.Unsqueeze(window, 1);
        // Batch and frames as one axis: then the transform's axis is the default one in all versions.
        Dim width = signal.Shape?[^1] ?? Dim.Unknown;
        Term rows = g.Reshape(cut, g.Concat(0, g.Ints(-1), length, g.Op("Shape", [signal], ("start", -1))))
            .Typed(signal.Type, new Shape(Dim.Unknown, Dim.Unknown, width));
        Term spectrum = g.Op("DFT", [rows], ("onesided", op.Node.Int("onesided", 1)));
        return g.Reshape(spectrum, g.Concat(0, g.DimOf(signal, 0), frames, g.Op("Shape", [spectrum], ("start", 1))));
    }
}
