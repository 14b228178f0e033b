using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Losses;

/// <summary>What a loss divides by: how batches of different sizes are put together.</summary>
internal enum LossDivisor
{
    /// <summary>By nothing: it is a sum, and that of several batches is the sum of theirs.</summary>
    Nothing,

    /// <summary>By the examples of the batch, as far as anybody knows.</summary>
    Examples,

    /// <summary>By elements or rows, as many for each example.</summary>
    Elements,

    /// <summary>By what counts among the labels.</summary>
    Labels,
}

/// <summary>What a loss comes to.</summary>
/// <param name="Value">The scalar.</param>
/// <param name="Divisor">What it divides by.</param>
/// <param name="Weight">That number, a scalar of the loss's type; null for nothing, and for the examples.</param>
internal readonly record struct LossValue(Term Value, LossDivisor Divisor, Term? Weight = null)
{
    /// <summary>The sum or the mean over all elements.</summary>
    /// <param name="g">Where it is written.</param>
    /// <param name="each">The loss of each element.</param>
    /// <param name="reduction">Which of the two.</param>
    /// <param name="counted">A tensor with as many elements that costs nothing to look at, such as the targets.</param>
    public static LossValue Of(GraphBuilder g, Term each, Reduction reduction, Value counted) => reduction == Reduction.Sum
        ? new(g.ReduceSum(each, false), LossDivisor.Nothing)
        : new(g.ReduceMean(each, false), LossDivisor.Elements, g.Cast(g.SizeOf(counted), each.Type));

    /// <summary>A sum divided by a weight; 0 where nothing counts.</summary>
    public static LossValue Mean(GraphBuilder g, Term sum, Term weight) =>
        new(sum / g.Where(g.Equal(weight, 0), 1, weight), LossDivisor.Labels, weight);
}
