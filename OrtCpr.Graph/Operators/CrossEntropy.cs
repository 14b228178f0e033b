using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>
/// Cross-entropy of rows of logits [N, C] with class indices [N], without log-probabilities in memory: the logarithm of each row's sum is
/// enough for the backward pass. Labels must lie in the row; others stop the run, in the kernels as in the bodies. Where dy is 0 the
/// gradient is 0, whatever the row holds.
/// </summary>
internal static class CrossEntropy
{
    private static readonly OperatorSlot Labels = new("labels", SlotType.Int64);

    private static readonly OperatorSlot[] Results = [new("losses", ShapeOf: "labels"), new("log_sums", ShapeOf: "labels")];

    private static readonly OperatorAttribute Smoothing = new("smoothing", AttributeKind.Float);

    /// <summary>(log Σ exp z − z[label], log Σ exp z), [N] each.</summary>
    public static OperatorDefinition Rows { get; } = new()
    {
        Name = "CrossEntropyRows",
        Inputs = ["logits", Labels],
        Outputs = Results,
        Body = (g, x) => [.. Forward(g, x["logits"], x["labels"])],
        Gradient = (g, op, dy) => [RowsGrad!.Call(g, [op.In(0), op.In(1), op.Out(1), dy])[0], null],
    };

    /// <summary>(exp(z − log Σ exp z) − [c = label])·dy, dy [N].</summary>
    public static OperatorDefinition RowsGrad { get; } = new()
    {
        Name = "CrossEntropyRowsGrad",
        Inputs = ["logits", Labels, "log_sums", "dy"],
        Outputs = [new("gradient", ShapeOf: "logits")],
        Body = (g, x) =>
        {
            Term column = g.Unsqueeze(x["dy"], 1);
            Term soft = Soft(g, x["logits"], x["log_sums"], column);
            return [ScatterAdd(g, soft, x["labels"], -column)];
        },
    };

    /// <summary>With a share ε of the target spread evenly over the classes: log Σ exp z − (1 − ε)·z[label] − ε·mean(z).</summary>
    public static OperatorDefinition SmoothRows { get; } = new()
    {
        Name = "CrossEntropySmoothRows",
        Inputs = ["logits", Labels],
        Outputs = Results,
        Attributes = [Smoothing],
        Body = (g, x) =>
        {
            Term[] plain = Forward(g, x["logits"], x["labels"]);
            Term picked = plain[1] - plain[0], spread = g.Squeeze(g.ReduceMean(x["logits"], true, 1), 1);
            return [plain[0] + (picked - spread) * x.Float("smoothing", x["logits"]), plain[1]];
        },
        Gradient = (g, op, dy) =>
        [
            SmoothRowsGrad!.Call(g, [op.In(0), op.In(1), op.Out(1), dy], ("smoothing", op.Node.Float("smoothing", 0)))[0],
            null,
        ],
    };

    /// <summary>(exp(z − log Σ exp z) − (1 − ε)·[c = label] − ε/C)·dy.</summary>
    public static OperatorDefinition SmoothRowsGrad { get; } = new()
    {
        Name = "CrossEntropySmoothRowsGrad",
        Inputs = ["logits", Labels, "log_sums", "dy"],
        Outputs = [new("gradient", ShapeOf: "logits")],
        Attributes = [Smoothing],
        Body = (g, x) =>
        {
            Term logits = x["logits"], column = g.Unsqueeze(x["dy"], 1), share = column * x.Float("smoothing", logits);
            Term classes = g.Op("CastLike", [g.Op("Shape", [logits], ("start", 1), ("end", 2)), logits]);
            Term soft = Soft(g, logits, x["log_sums"], column);
            return [ScatterAdd(g, soft - share / classes, x["labels"], share - column)];
        },
    };

    /// <summary>Loss of each row, [N].</summary>
    /// <param name="g">Where to emit the call.</param>
    /// <param name="logits">[N, C].</param>
    /// <param name="labels">[N], classes that lie in the row.</param>
    /// <param name="smoothing">The share of the target that is spread over the classes.</param>
    public static Term LossOfRows(GraphBuilder g, Value logits, Value labels, float smoothing = 0) =>
        (smoothing == 0 ? Rows.Call(g, [logits, labels]) : SmoothRows.Call(g, [logits, labels], ("smoothing", smoothing)))[0];

    private static Term[] Forward(GraphBuilder g, Term logits, Term labels)
    {
        Term highest = g.Reduce("ReduceMax", logits, true, 1);
        Term sum = g.Squeeze(g.Log(g.ReduceSum(g.Exp(logits - highest), true, 1)) + highest, 1);
        return [sum - ClassIndices.Pick(g, logits, labels), sum];
    }

    /// <summary>exp(z − log Σ exp z)·dy; 0 where dy is 0, since the row may be NaN or infinite there.</summary>
    private static Term Soft(GraphBuilder g, Term logits, Term logSums, Term column) =>
        g.Where(g.Equal(column, 0), 0, g.Exp(logits - g.Unsqueeze(logSums, 1)) * column);

    /// <summary>Adds a number a row at the row's label.</summary>
    private static Term ScatterAdd(GraphBuilder g, Term rows, Term labels, Value column) =>
        g.Op("ScatterElements", [rows, g.Unsqueeze(ClassIndices.Checked(g, rows, labels), 1), column], ("axis", 1), ("reduction", "add"));
}
