using OrtCpr.Graph.Ir;
using static System.FormattableString;

namespace OrtCpr.Graph.Losses;

/// <summary>Connectionist temporal classification: minus the logarithm of the probability of all ways in which a sequence of labels may lie
/// in a longer one of outputs (PyTorch <c>CTCLoss</c>).</summary>
/// <remarks>Output [T,N,C], labels Int64 [N,S] with anything behind their length, lengths Int64 [N]. A label within its length must be a
/// class and not the blank. The mean divides the loss of each example by the number of its labels (at least 1) and averages, as PyTorch
/// does. Where there is no way, since the outputs are too few, the loss is +∞ without a gradient, or 0 with
/// <see cref="ZeroInfinity"/>.</remarks>
public sealed record CtcLoss : Loss
{
    /// <summary>What stands for log 0: far below any sum of logarithms, and no NaN in differences.</summary>
    private const double Never = -1e30;

    /// <summary>Name of the input with the labels. Default <c>labels</c>.</summary>
    public string LabelName { get; init; } = "labels";

    /// <summary>Name of the input with the number of labels of each example, Int64 [N]. Default <c>label_lengths</c>.</summary>
    public string LabelLengthName { get; init; } = "label_lengths";

    /// <summary>Name of the input with the number of outputs of each example, Int64 [N], 1 to T; null (default) for all T.</summary>
    public string? InputLengthName { get; init; }

    /// <summary>The class that is no label, from 0. Default 0.</summary>
    public int Blank { get; init; }

    /// <summary>Whether the output is [N,T,C]. Default off: [T,N,C], as PyTorch has it.</summary>
    public bool BatchFirst { get; init; }

    /// <summary>Whether an example without a way counts 0 in place of +∞. Default off.</summary>
    public bool ZeroInfinity { get; init; }

    /// <summary>Mean (default) or sum over the examples.</summary>
    public Reduction Reduction { get; init; } = Reduction.Mean;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels =>
        InputLengthName is null ? [LabelName, LabelLengthName] : [LabelName, LabelLengthName, InputLengthName];

    internal override string LabelProperty => nameof(LabelName);

    internal override LossValue Attach(LossContext context)
    {
        GraphBuilder g = context.G;
        Term output = context.FindFloating(Output);
        if (output.Shape is not { Rank: 3 } shape)
            throw new OptionException($"{Kind} takes output '{output.Name}' of shape {output.Shape}; expected [times, batch, classes].");
        if (shape[2].Known is long classes && Blank >= classes)
            throw new OptionException($"{nameof(Blank)} is {Blank}; output '{output.Name}' has {classes} classes.");
        // Logarithms of probabilities stay what they are under a LogSoftmax, so that both may come.
        if (BatchFirst) output = g.Transpose(Activations.InFrontOf(context, output, this, 2), 1, 0, 2);
        else output = Activations.InFrontOf(context, output, this, 2);
        Dim batch = shape[BatchFirst ? 0 : 1];
        Term labels = context.Label(LabelName, ElementType.Int64, new Shape(batch, Dim.Unknown));
        Term lengths = context.Label(LabelLengthName, ElementType.Int64, new Shape(batch));
        Term? inputLengths = InputLengthName is null ? null : context.Label(InputLengthName, ElementType.Int64, new Shape(batch));
        Term logarithms = g.LogSoftmax(output, -1);

        Term column = g.Unsqueeze(lengths, 1);
        // Labels behind the length are blanks; the last two states are picked by the length.
        Term isLabel = g.Positions(g.DimOf(labels, 1)) < column;
        Term blanks = g.FilledOf(Blank, g.ShapeOf(labels), ElementType.Int64);
        Term kept = g.Where(isLabel, labels, blanks);
        // blank, label, blank, label … blank: [N, 2S + 1].
        Term pairs = g.Op("Flatten", [g.Concat(2, g.Unsqueeze(blanks, 2), g.Unsqueeze(kept, 2))], ("axis", 1));
        Term first = g.FilledOf(Blank, g.Concat(0, g.DimOf(labels, 0), g.Ints(1)), ElementType.Int64);
        Term states = g.Concat(1, pairs, first);
        // A label may follow the one before without a blank between where the two differ.
        Term twoBack = g.Op("Pad", [g.Slice(states, [0], [-2], [1]), g.Ints(0, 2, 0, 0), g.Int(Blank)]);
        Term skips = g.And(!g.Equal(states, g.Int(Blank)), !g.Equal(states, twoBack));
        // Classes that there are not stop the gathering.
        Term checkedStates = g.Where(states < g.Int(0), g.DimOf(output, 2), states);
        Term wide = g.Op("Expand", [g.Unsqueeze(checkedStates, 0), g.Concat(0, g.DimOf(output, 0), g.Op("Shape", [states]))]);
        Term emitted = g.Op("GatherElements", [logarithms, wide], ("axis", 2));
        emitted.Typed(output.Type, new Shape(output.Shape![0], batch, Dim.Unknown));

        Term last = Steps(g, emitted, skips, inputLengths);
        Term end = g.Op("GatherElements", [last, column * g.Int(2)], ("axis", 1));
        Term before = g.Op("GatherElements", [last, g.Op("Max", [column * g.Int(2) - g.Int(1), g.Int(0)])], ("axis", 1));
        before = g.Where(column > g.Int(0), before, Never);
        Term total = g.Squeeze(LogSum(g, end, before), 1);
        Term isPossible = total > g.Scalar(Never / 2, total.Type);
        Term each = g.Where(isPossible, -total, ZeroInfinity ? 0 : double.PositiveInfinity);
        each.Shape = new Shape(batch);
        if (Reduction == Reduction.Sum) return new(g.ReduceSum(each, false), LossDivisor.Nothing);
        Term counts = g.Cast(g.Op("Max", [lengths, g.Int(1)]), output.Type);
        return LossValue.Of(g, each / counts, Reduction.Mean, lengths);
    }

    /// <summary>The logarithms of the probabilities of all ways that end in each state, [N, L], after the last output of each
    /// example.</summary>
    private static Term Steps(GraphBuilder g, Term emitted, Term skips, Term? inputLengths)
    {
        ElementType type = emitted.Type;
        var shape = new Shape(emitted.Shape![1], Dim.Unknown);
        // Before the first output there is one way, in front of the first blank: from there both first states are one step away.
        Term size = g.Op("Shape", [skips]);
        Term isFirst = g.Equal(g.Positions(g.Op("Slice", [size, g.Ints(1), g.Ints(2)])), g.Int(0));
        Term start = g.Where(isFirst, 0, g.FilledOf(Never, size, type)).Typed(type, shape);
        var body = new OnnxGraph(g.Graph.Names.Unique($"{g.Scope}/ctc_step"), g.Graph.Names);
        var step = new GraphBuilder(body) { Scope = body.Name };
        Term ways = step.Term(body.AddInput($"{body.Name}/ways", type, shape)), x = step.Term(body.AddInput($"{body.Name}/x", type, shape));
        Term Behind(int places) => step.Op("Pad",
            [step.Slice(ways, [0], [-places], [1]), step.Ints(0, places, 0, 0), step.Scalar(Never, type)]).Typed(type, shape);
        Term skipped = step.Where(skips, Behind(2), Never).Typed(type, shape);
        Term next = x + LogSum(step, ways, Behind(1), skipped);
        List<Value> scanned = [emitted];
        if (inputLengths is Term lengths)
        {
            Term time = step.Term(body.AddInput($"{body.Name}/t", ElementType.Int64, Shape.Scalar));
            next = step.Where(step.Unsqueeze(step.Less(time, lengths), 1), next, ways);
            scanned.Add(g.Positions(g.DimOf(emitted, 0)));
        }
        body.Outputs.Add(GraphBuilder.Typed(next, type, shape));
        return g.Ops("Scan", 1, [start, .. scanned], ("body", body), ("num_scan_inputs", scanned.Count))[0].Typed(type, shape);
    }

    /// <summary>log Σ exp of tensors of one shape.</summary>
    private static Term LogSum(GraphBuilder g, Term first, params Term[] others)
    {
        Term highest = others.Aggregate(first, (a, b) => g.Max(a, b));
        Term sum = others.Aggregate(g.Exp(first - highest), (a, b) => a + g.Exp(b - highest));
        return highest + g.Log(sum);
    }

    internal override IEnumerable<string> Problems() =>
        [.. Empty(nameof(LabelName), LabelName), .. Empty(nameof(LabelLengthName), LabelLengthName),
            .. Blank >= 0 ? Array.Empty<string>() : [Invariant($"{nameof(Blank)} is {Blank}; expected at least 0")]];
}
