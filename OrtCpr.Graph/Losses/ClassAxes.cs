using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Losses;

/// <summary>Which axis of scores has the classes. Labels of a batch come too late to ask: the graph is built before.</summary>
internal static class ClassAxes
{
    /// <summary>Operators whose results have channels on axis 1.</summary>
    private static readonly HashSet<string> ChannelsSecond = new(StringComparer.Ordinal)
    {
        "Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv", "NhwcFusedConv", "BatchNormalization", "InstanceNormalization",
        "GroupNormalization", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "DepthToSpace", "SpaceToDepth",
        "Resize", "Upsample", "GridSample",
    };

    /// <summary>Operators whose results have features on the last axis.</summary>
    private static readonly HashSet<string> FeaturesLast = new(StringComparer.Ordinal)
    {
        "Gemm", "FusedGemm", "LayerNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization", "RMSNormalization", "LSTM", "GRU", "RNN", "MatMulNBits", "BiasGelu", "FastGelu",
    };

    /// <summary>The axis, from 0.</summary>
    /// <exception cref="OptionException">The one that is given does not exist, or two are as likely.</exception>
    public static int Decide(ClassLoss loss, Value scores, LossContext context)
    {
        Shape shape = scores.Shape!;
        if (loss.ClassAxis is int given)
        {
            int axis = shape.Axis(given);
            return axis >= 0 && axis < shape.Rank ? axis : throw new OptionException(
                $"{nameof(ClassLoss.ClassAxis)} is {given}; output '{scores.Name}' has rank {shape.Rank}, expected {-shape.Rank} to "
                + $"{shape.Rank - 1}.");
        }
        if (shape.Rank == 2) return 1;
        int last = shape.Rank - 1;
        Dim second = shape[1], final = shape[last];
        int? Only(bool isSecond, bool isLast) => isSecond == isLast ? null : isSecond ? 1 : last;
        bool Fits(Dim dim, long size) => dim.Known is not long n || n == size;
        if (!loss.ClassWeights.IsDefaultOrEmpty
            && Only(Fits(second, loss.ClassWeights.Length), Fits(final, loss.ClassWeights.Length)) is int byWeights)
        {
            return byWeights;
        }
        if (context.ModelInput(loss.LabelName) is { Type: ElementType.Int64, Shape: Shape labels } && labels.Rank == last
            && Only(IsWithout(shape, 1, labels), IsWithout(shape, last, labels)) is int byLabels)
        {
            return byLabels;
        }
        int? byModel = Origin(scores, 0);
        bool sameSize = second.Known is long size && size == final.Known;
        if (byModel == 1 || (byModel == last && !sameSize)) return byModel.Value;
        if (ByInputs(shape, context) is int byInputs && !sameSize) return byInputs;
        if (Only(second.Known is not null, final.Known is not null) is int byNumber) return byNumber;
        // Images and volumes have channels second unless the model says otherwise; three axes are tokens as often as signals.
        if (shape.Rank > 3 || (second.Known is not null && !sameSize)) return 1;
        throw new OptionException(
            $"{loss.Kind} takes output '{scores.Name}' of shape {shape}, in which axis 1 and axis {last} may both have the classes. Say "
            + $"which one does by {nameof(ClassLoss.ClassAxis)}: 1 for scores [batch, classes, …] as in PyTorch, -1 for "
            + "[batch, …, classes].");
    }

    /// <summary>Whether labels have the sizes of scores without an axis, as far as is known.</summary>
    private static bool IsWithout(Shape scores, int axis, Shape labels) =>
        scores.Where((_, i) => i != axis).Zip(labels)
            .All(d => d.First.SurelyEquals(d.Second) || d.First.Known is null || d.Second.Known is null);

    /// <summary>The axis that is not a size of the inputs: tokens [B, T] go to [B, T, V], a signal [B, F, L] to [B, C, L].</summary>
    private static int? ByInputs(Shape shape, LossContext context)
    {
        int last = shape.Rank - 1;
        bool secondIsInput = false, lastIsInput = false;
        foreach (Shape input in context.ModelInputs.Select(i => i.Shape).OfType<Shape>().Where(s => s.Rank >= 2))
        {
            secondIsInput |= shape[1].SurelyEquals(input[1]);
            lastIsInput |= input.Rank == shape.Rank && shape[last].SurelyEquals(input[last]);
        }
        return secondIsInput == lastIsInput ? null : secondIsInput ? last : 1;
    }

    /// <summary>The axis of features or channels, after the operator that made them; null where that is not plain.</summary>
    private static int? Origin(Value value, int depth)
    {
        const int deepest = 200;
        if (value.Producer is not Node node || value.Shape is not Shape shape || depth > deepest) return null;
        int last = shape.Rank - 1;
        string op = node.OpType;
        if (ChannelsSecond.Contains(op)) return 1;
        if (FeaturesLast.Contains(op)) return last;
        int? Next(int input) => node.In(input) is Value next && next.Shape?.Rank == shape.Rank ? Origin(next, depth + 1) : null;
        switch (op)
        {
            case "Softmax" or "LogSoftmax":
                return shape.Axis(node.Int("axis", -1));
            case "MatMul" or "FusedMatMul" or "MatMulInteger":
                return IsWeight(node.Inputs[1]!) ? last : IsWeight(node.Inputs[0]!) ? last - 1 : null;
            case "Gather" when node.Inputs[0]!.IsInitializer && node.Int("axis", 0) == 0:
                return last;
            case "Transpose" or "Reshape" or "Flatten" or "Squeeze" or "Unsqueeze":
                return node.Inputs[0] is Value from && Origin(from, depth + 1) is int before ? ViewAxes.Through(node, before) : null;
            case "Where":
                return Next(1) ?? Next(2);
            case "Concat" or "Sum" or "Mean" or "Max" or "Min" or "Add" or "Sub" or "Mul" or "Div" or "PRelu":
                return Enumerable.Range(0, node.Inputs.Count).Select(Next).FirstOrDefault(a => a is not null)
                    ?? node.Inputs.OfType<Value>().Select(i => AlongOne(i, shape)).FirstOrDefault(a => a is not null);
            default:
                return OperatorTraits.Has(op, Trait.Unary | Trait.KeepsShape) || op is "Dropout" or "Clip" or "Slice" or "Pad"
                    ? Next(0) : null;
        }
    }

    /// <summary>The axis along which an initializer of one long axis is broadcast: that of a bias or gain.</summary>
    private static int? AlongOne(Value operand, Shape shape)
    {
        if (operand.Data is not TensorData data) return null;
        int[] wide = [.. Enumerable.Range(0, data.Dimensions.Count).Where(i => data.Dimensions[i] > 1)];
        return wide is [int one] && shape.Rank >= data.Dimensions.Count ? shape.Rank - data.Dimensions.Count + one : null;
    }

    /// <summary>A weight, or what a few operators make of one.</summary>
    private static bool IsWeight(Value value) => value.IsInitializer
        || (value.Producer is Node node && node.OpType is "Transpose" or "Cast" or "Identity" or "DequantizeLinear" or "Reshape"
            && IsWeight(node.Inputs[0]!));
}
