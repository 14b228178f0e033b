using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Heads;

/// <summary>What is written for a head at its place.</summary>
/// <param name="Features">What it reads.</param>
/// <param name="Pool">How it makes a vector of them; never <see cref="Pooling.Auto"/>.</param>
/// <param name="Mask">[batch, tokens]; null where all tokens count.</param>
/// <param name="Width">Inputs of the layer.</param>
/// <param name="Flattens">All but the batch is one vector.</param>
/// <param name="Result">Shape of the logits.</param>
internal sealed record HeadPlan(Value Features, Pooling Pool, Value? Mask, long Width, bool Flattens, Shape Result)
{
    public ElementType Type => Features.Type;

    public required long Opset { get; init; }

    /// <summary>Reads the shapes.</summary>
    /// <param name="model">With shapes.</param>
    /// <param name="place">Where the head goes.</param>
    /// <param name="head">Its options.</param>
    /// <param name="problems">Gets what does not fit; the result is null then.</param>
    public static HeadPlan? Of(OnnxModel model, HeadPlace place, DenseHead head, List<string> problems)
    {
        int before = problems.Count;
        Value x = place.Features;
        // A Dropout of the old head is replaced by that of the new one.
        if (head.Dropout > 0 && place.Linear is not null && x.Producer is Node dropout && dropout.Is("Dropout")) x = dropout.Inputs[0]!;
        if (!x.Type.IsFloating()) problems.Add($"the head would read '{x.Name}', which is {x.Type}; expected floating numbers");
        if (x.Shape is not Shape shape || (shape.Rank is not (2 or 3 or 4) && !place.CoversInput))
        {
            problems.Add($"the head would read '{x.Name}', of {(x.Shape is null ? "unknown rank" : $"rank {x.Shape.Rank}, {x.Shape}")}; "
                + "expected [batch, width], [batch, tokens, width] or [batch, channels, height, width]. Name another tensor");
            return null;
        }
        if (place.Output is { Shape.Rank: 3 } tokens && shape.Rank == 2)
        {
            problems.Add($"output '{tokens.Name}' is {tokens.Shape}, and the layer in front of it reads '{x.Name}' {shape}, in which "
                + "batch and tokens are one axis. Name a tensor [batch, tokens, width] that the head shall read");
        }
        if (place.IsPerPixel && head.Pool is Pooling.Auto)
        {
            problems.Add($"the last linear layer in front of '{place.Output?.Name ?? place.Cut.Name}' is a convolution with a result for "
                + $"each pixel ({place.Cut.Shape}), as in a model for segmentation. For classes of the whole picture say how pixels are "
                + $"pooled ({nameof(head.Pool)}: {nameof(Pooling.Mean)}, {nameof(Pooling.Max)}), or name a tensor that the "
                + "head shall read");
        }
        bool flattens = place.CoversInput && head.Pool is Pooling.Auto or Pooling.None;
        Pooling pool = flattens ? Pooling.None : head.Pool != Pooling.Auto ? head.Pool : shape.Rank == 2 ? Pooling.None : Pooling.Mean;
        if (!flattens) CheckPooling(pool, x, shape, problems);
        int axis = shape.Rank == 4 && !head.ChannelsLast ? 1 : shape.Rank - 1;
        long? width = flattens ? place.Width
            : shape[axis].Known ?? (place.CoversInput ? null : place.Width ?? (axis == shape.Rank - 1 ? LastSize(x) : null));
        if (width is null or < 1)
        {
            problems.Add($"the width of '{x.Name}' {shape} (axis {axis}) is {(width is null ? "not known" : $"{width}")}; expected a "
                + "number, as a layer has a weight for each. Export the model with that size fixed, or name another tensor");
        }
        Value? mask = MaskOf(model.Graph, pool, x, shape, head, problems);
        long opset = model.Opsets[""];
        long least = head.Dropout > 0 ? HeadNodes.DropoutFlagSince : mask is not null ? HeadNodes.WhereSince : 7;
        if (opset < least)
        {
            problems.Add($"the model has opset {opset}, and the head{(head.Dropout > 0 ? "'s Dropout" : "")} takes {least} or later. "
                + $"Export it with a later opset{(head.Dropout > 0 ? ", or leave Dropout out" : "")}");
        }
        if (problems.Count > before) return null;
        bool perToken = pool == Pooling.None && !flattens && shape.Rank == 3;
        Shape result = perToken ? new Shape(shape[0], shape[1], head.Classes) : new Shape(shape[0], head.Classes);
        return new(x, pool, mask, width!.Value, flattens, result) { Opset = opset };
    }

    private static void CheckPooling(Pooling pool, Value x, Shape shape, List<string> problems)
    {
        if (pool == Pooling.None && shape.Rank == 4)
        {
            problems.Add($"{nameof(DenseHead.Pool)} is {pool}, and '{x.Name}' is {shape}; expected {nameof(Pooling.Mean)} or "
                + $"{nameof(Pooling.Max)} for features of rank 4");
        }
        if (pool is Pooling.Mean or Pooling.Max or Pooling.Cls && shape.Rank == 2)
        {
            problems.Add($"{nameof(DenseHead.Pool)} is {pool}, and '{x.Name}' is {shape}, which has nothing to pool; expected "
                + $"{nameof(Pooling.None)} or {nameof(Pooling.Auto)}, or features of rank 3 or 4");
        }
        if (pool == Pooling.Cls && shape.Rank == 4)
        {
            problems.Add($"{nameof(DenseHead.Pool)} is {pool}, and '{x.Name}' is {shape}, which has no tokens; expected "
                + $"{nameof(Pooling.Mean)} or {nameof(Pooling.Max)}");
        }
    }

    private static Value? MaskOf(OnnxGraph graph, Pooling pool, Value x, Shape shape, DenseHead head, List<string> problems)
    {
        bool masks = shape.Rank == 3 && pool is Pooling.Mean or Pooling.Max;
        Value[] candidates = [.. graph.Inputs.Where(i => i.Shape?.Rank == 2 && i.Type is ElementType.Int64 or ElementType.Int32
            or ElementType.Bool)];
        if (head.Mask is string name)
        {
            Value? given = graph.Inputs.FirstOrDefault(i => i.Name == name);
            if (!masks)
            {
                problems.Add($"{nameof(head.Mask)} is '{name}', and features {shape} pooled by {pool} have no use for it; expected null");
            }
            else if (given is null || !candidates.Contains(given) || !Fits(given))
            {
                string found = given is null ? "no input" : $"{given.Type} {given.Shape}";
                string others = candidates.Length == 0 ? "none" : string.Join(", ", candidates.Select(c => $"'{c.Name}' {c.Shape}"));
                problems.Add($"{nameof(head.Mask)} is '{name}', which is {found}; expected an input [batch, tokens] of integers or bools, "
                    + $"with the tokens of '{x.Name}' {shape}. There are: {others}");
            }
            return given;
        }
        if (!masks) return null;
        // Tokens of a picture, or of another sequence, are none of the mask's.
        Value[] fitting = [.. candidates.Where(Fits)];
        if (fitting.FirstOrDefault(c => c.Name == "attention_mask") is Value named) return named;
        Value[] likely = [.. fitting.Where(c => c.Name.Contains("mask", StringComparison.OrdinalIgnoreCase))];
        if (likely.Length > 1)
        {
            string names = string.Join(", ", likely.Select(c => $"'{c.Name}'"));
            problems.Add($"several inputs may be the mask of '{x.Name}' {shape}: {names}. Name one ({nameof(head.Mask)})");
        }
        return likely.FirstOrDefault();

        bool Fits(Value mask) => mask.Shape![1].Known is not long n || shape[1].Known is not long t || n == t;
    }

    /// <summary>The size of the last axis as the operator's vector of parameters has it, where inference lost it on the way, as
    /// through the Reshapes of attention; null where there is no such operator.</summary>
    private static long? LastSize(Value value) => value.Producer is Node node
        && node.OpType is "Add" or "Sub" or "Mul" or "Div" or "LayerNormalization"
        ? node.Inputs.Select(i => i?.Data).Where(d => d is { Dimensions: [> 1] }).Select(d => (long?)d!.Dimensions[0]).FirstOrDefault()
        : null;
}
