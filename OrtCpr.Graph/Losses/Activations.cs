using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Losses;

/// <summary>What an activation at the end of a model gives.</summary>
internal enum Activation
{
    /// <summary>Probabilities.</summary>
    Probabilities,

    /// <summary>Logarithms of probabilities.</summary>
    Logarithms,
}

/// <summary>The activation that an output comes from, through what changes the form of a tensor only.</summary>
/// <param name="Kind">Softmax, LogSoftmax, Sigmoid or LogSigmoid.</param>
/// <param name="Input">The tensor in front of it.</param>
/// <param name="Result">What it gives.</param>
/// <param name="Axis">Softmax: the axis, counted in its own result.</param>
/// <param name="Views">The nodes between it and the output, the last one first.</param>
internal sealed record OutputActivation(string Kind, Value Input, Value Result, int Axis, IReadOnlyList<Node> Views)
{
    /// <summary>Writes the tensor in front where the graph does not have it as one.</summary>
    public Func<GraphBuilder, Value>? Logits { get; init; }

    public bool IsSoftmax => Kind.EndsWith("Softmax", StringComparison.Ordinal);

    public Activation Gives => Kind.StartsWith("Log", StringComparison.Ordinal) ? Activation.Logarithms : Activation.Probabilities;

    /// <summary>Softmax: the axis in the output; null where that is not known.</summary>
    public int? AxisInOutput()
    {
        int? axis = Axis;
        foreach (Node view in Views.Reverse()) axis = axis is int a ? ViewAxes.Through(view, a) : null;
        return axis;
    }

    /// <summary>The tensor in front, in the form of the output.</summary>
    public Term InForm(GraphBuilder g)
    {
        Value value = Logits?.Invoke(g) ?? Input;
        foreach (Node view in Views.Reverse())
        {
            Term copy = g.Op(view.QualifiedType, [value, .. view.Inputs.Skip(1)], [.. view.Attributes.Select(a => (a.Key, a.Value))]);
            value = GraphBuilder.Like(copy, view.Outputs[0]!);
        }
        return g.Term(value);
    }
}

/// <summary>Losses from logits on outputs that are no logits any more.</summary>
internal static class Activations
{
    /// <summary>The activation behind which a tensor lies; null where there is none.</summary>
    public static OutputActivation? Of(Value output)
    {
        var views = new List<Node>();
        bool logarithm = false;
        for (Value value = output; value.Producer is Node { Domain: "" } node; value = node.Inputs[0]!)
        {
            if (node.OpType is "Softmax" or "LogSoftmax" or "Sigmoid")
            {
                if (logarithm && node.OpType == "LogSoftmax") return null;
                int rank = value.Shape?.Rank ?? 0;
                long axis = node.Int("axis", -1);
                return new((logarithm ? "Log" : "") + node.OpType, node.Inputs[0]!, value, (int)(axis < 0 ? axis + rank : axis), views);
            }
            if (!logarithm && TwoClasses(node, value) is OutputActivation pair) return pair with { Views = views };
            if (Written(node) is (string kind, Value input, int along) && !logarithm)
                return new(kind, input, value, along, views);
            if (node.OpType == "Log" && !logarithm) logarithm = true;
            else if (!node.Has(Trait.Carries) || !value.Type.IsFloating() || !node.Inputs[0]!.Type.IsFloating()) return null;
            else views.Add(node);
        }
        return null;
    }

    /// <summary>A Softmax or Sigmoid that an exporter wrote in other operators: exp(x) / Σ exp(x), 1 / (1 + exp(−x)).</summary>
    private static (string Kind, Value Input, int Axis)? Written(Node node)
    {
        if (node.Is("Reciprocal") && OnePlusExp(node.Inputs[0]!) is Value negated) return ("Sigmoid", negated, 0);
        if (!node.Is("Div")) return null;
        Value above = node.Inputs[0]!, below = node.Inputs[1]!;
        if (IsOne(above) && OnePlusExp(below) is Value input) return ("Sigmoid", input, 0);
        if (above.Producer is not Node exp || !exp.Is("Exp") || below.Producer is not Node sum || !sum.Is("ReduceSum")
            || sum.Inputs[0] != above || sum.Int("keepdims", 1) == 0 || above.Shape is not Shape shape
            || (sum.In(1)?.ConstantIntegers ?? sum.Ints("axes")) is not [long axis])
        {
            return null;
        }
        return ("Softmax", exp.Inputs[0]!, shape.Axis(axis));
    }

    /// <summary>[1 − p, p] of p = Sigmoid(z), as scikit-learn's classifiers of two classes end: the Softmax of [0, z].</summary>
    private static OutputActivation? TwoClasses(Node node, Value result)
    {
        if (!node.Is("Concat") || node.Inputs is not [{ Producer: Node sub }, Value positive] || !sub.Is("Sub") || sub.Inputs[1] != positive
            || !IsOne(sub.Inputs[0]!) || positive.Producer is not Node sigmoid || !sigmoid.Is("Sigmoid") || result.Shape is not Shape shape)
        {
            return null;
        }
        Value z = sigmoid.Inputs[0]!;
        int axis = shape.Axis(node.Int("axis", 0));
        return z.Shape is not Shape own || own.Rank != shape.Rank || own[axis].Known != 1 ? null
            : new("two-class Softmax", z, result, axis, [])
            { Logits = g => GraphBuilder.Like(g.Concat(axis, g.Filled(0, z), z), result) };
    }

    private static bool IsOne(Value value) => value.Data is { ElementCount: 1 } one && one.Type.IsFloating() && one.ToDoubles()[0] == 1;

    /// <summary>x of 1 + exp(−x).</summary>
    private static Value? OnePlusExp(Value value)
    {
        if (value.Producer is not Node add || !add.Is("Add")) return null;
        Value? exp = add.Inputs.FirstOrDefault(i => i?.Producer?.Is("Exp") == true);
        Value? one = add.Inputs.FirstOrDefault(i => i is not null && IsOne(i));
        return one is not null && exp?.Producer!.Inputs[0]?.Producer is Node neg && neg.Is("Neg") ? neg.Inputs[0] : null;
    }

    /// <summary>The logits of an output: the output itself, or, where that is an activation, what stands in front of it.</summary>
    /// <param name="context">Gets a warning.</param>
    /// <param name="output">The output.</param>
    /// <param name="loss">A loss from logits.</param>
    /// <param name="classAxis">Axis of the classes; null for a loss of each element.</param>
    /// <exception cref="OptionException">The activation and the loss do not belong together.</exception>
    public static Term InFrontOf(LossContext context, Term output, Loss loss, int? classAxis = null)
    {
        if (Of(output) is not OutputActivation found) return output;
        string made = $"Output '{output.Name}' is the {found.Kind} of '{found.Input.Name}'", other = classAxis is null
            ? $"{nameof(BceLoss)} (bce)" : $"{nameof(NllLoss)} (nll)";
        if (classAxis is null && found.IsSoftmax)
        {
            throw new OptionException(
                $"{made}, probabilities of classes that exclude each other, and {loss.Kind} takes logits of classes that do not. "
                + $"For one class a row take {nameof(CrossEntropyLoss)} (cross_entropy); for the probabilities as they are, {other}; for "
                + $"independent classes name '{found.Input.Name}' as the loss's output.");
        }
        if (classAxis is int axis && found.IsSoftmax && found.AxisInOutput() != axis)
        {
            context.Warnings.Add(
                $"{made}, but not along axis {axis}, on which {loss.Kind} has its classes: the loss takes '{output.Name}' as logits. Name "
                + $"'{found.Input.Name}' as the loss's output, or another axis of the classes, where that is not meant.");
            return output;
        }
        if (classAxis is int classes && !found.IsSoftmax && output.Shape![classes].Known == 1)
        {
            throw new OptionException(
                $"{made} and has one class, of which {loss.Kind} is 0 whatever the logits. For yes or no take {nameof(BceWithLogitsLoss)} "
                + "(bce_with_logits), with targets 0 and 1.");
        }
        string ways = classAxis is not null && !found.IsSoftmax
            ? $" For classes that do not exclude each other take {nameof(BceWithLogitsLoss)} (bce_with_logits)." : "";
        context.Warnings.Add(
            $"{made}, and {loss.Kind} takes logits: the loss takes '{found.Input.Name}' in place of '{output.Name}'. For a loss of "
            + $"'{output.Name}' as it is, take {other}.{ways}");
        return found.InForm(context.G);
    }
}
