using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Losses;

/// <summary>Where an axis of a tensor goes when its form changes.</summary>
internal static class ViewAxes
{
    /// <summary>The axis of the result that is axis <paramref name="axis"/> of the first input; null where there is none, or nobody
    /// knows.</summary>
    public static int? Through(Node view, int axis)
    {
        if (view.Inputs[0]!.Shape is not Shape from || view.Outputs[0]!.Shape is not Shape to) return null;
        switch (view.OpType)
        {
            case "Identity" or "Cast":
                return axis;
            case "Transpose":
                long[] perm = view.Ints("perm") ?? [.. Enumerable.Range(0, from.Rank).Reverse().Select(i => (long)i)];
                return Array.IndexOf(perm, axis) is int at and >= 0 ? at : null;
            case "Squeeze" when Axes(view, from.Rank) is long[] removed:
                return removed.Contains(axis) ? null : axis - removed.Count(r => r < axis);
            case "Unsqueeze" when Axes(view, to.Rank) is long[] added:
                int[] kept = [.. Enumerable.Range(0, to.Rank).Where(i => !added.Contains(i))];
                return axis < kept.Length ? kept[axis] : null;
            default:
                return BySize(from, to, axis);
        }
    }

    /// <summary>The elements keep their order: the axis is that with as many elements behind it, and of its size.</summary>
    private static int? BySize(Shape from, Shape to, int axis)
    {
        SymbolicInt? behind = new Shape(from.Skip(axis + 1)).ElementCount;
        for (int i = to.Rank - 1; i >= 0; i--)
        {
            bool sameBehind = (i == to.Rank - 1 && axis == from.Rank - 1)
                || (behind is not null && behind.Equals(new Shape(to.Skip(i + 1)).ElementCount));
            if (sameBehind && to[i].SurelyEquals(from[axis])) return i;
        }
        return null;
    }

    private static long[]? Axes(Node view, int rank) =>
        (view.In(1)?.ConstantIntegers ?? view.Ints("axes"))?.Select(a => a < 0 ? a + rank : a).ToArray();
}
