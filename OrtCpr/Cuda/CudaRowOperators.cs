using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Cuda;

/// <summary>A formula, element by element: the first input, or the first two, to a tensor of that shape.</summary>
internal sealed class CudaElementOperator(OperatorDefinition definition, KernelLauncher launcher) : DeviceOperator(definition, launcher)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> first = context.In<float>(Definition.Inputs[0].Name);
        ElementOperands operands = new() { First = Of(first), Result = Out(context, Definition.Outputs[0].Name, first.Shape) };
        if (Definition.Inputs.Count > 1)
        {
            InputTensor<float> second = context.In<float>(Definition.Inputs[1].Name);
            context.Expect(second, first.Length);
            operands.Second = Of(second);
        }
        Launcher.Launch(Name, BlocksOf(first.Length), operands, context.Handle);
    }
}

/// <summary>The gradient of Softmax over the last axis.</summary>
internal sealed class CudaSoftmaxGradOperator(OperatorDefinition definition, KernelLauncher launcher)
    : DeviceOperator(definition, launcher)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> y = context.In<float>("y");
        context.Expect(context.In<float>("dy"), y.Length);
        (nint rows, nint columns) = SoftmaxOperator.Rows(Name, y);
        RowOperands operands = new()
        {
            X = Of(y),
            Dy = Floats(context, "dy"),
            Result = Out(context, "dx", y.Shape),
            Rows = rows,
            Columns = columns,
            Width = WidthOf(columns),
        };
        int rowsOfBlock = Launcher.BlockSize / operands.Width;
        Launcher.Launch(Name, (rows + rowsOfBlock - 1) / rowsOfBlock, operands, context.Handle);
    }
}

/// <summary>Cross-entropy of rows, forward or backward. The driver has refused labels outside of the classes.</summary>
internal sealed class CudaCrossEntropyOperator(OperatorDefinition definition, KernelLauncher launcher, bool isGradient)
    : DeviceOperator(definition, launcher)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> logits = context.In<float>("logits");
        if (logits.Shape.Length != 2)
            throw new OperandException($"{Name}: 'logits' has rank {logits.Shape.Length}, expected 2.");
        nint rows = (nint)logits.Shape[0];
        InputTensor<long> labels = context.In<long>("labels");
        context.Expect(labels, rows);
        RowOperands operands = new()
        {
            X = Of(logits),
            Labels = Of(labels),
            Rows = rows,
            Columns = logits.Shape[1],
            Width = WidthOf(logits.Shape[1]),
            Smoothing = Number(context),
        };
        int rowsOfBlock = Launcher.BlockSize / operands.Width;
        nint blocks = (rows + rowsOfBlock - 1) / rowsOfBlock;
        if (isGradient)
        {
            operands.LogSums = Floats(context, "log_sums");
            operands.Dy = Floats(context, "dy");
            context.Expect(context.In<float>("dy"), rows);
            operands.Result = Out(context, "gradient", logits.Shape);
            Launcher.Launch("CrossEntropyRowsGrad", blocks, operands, context.Handle);
            return;
        }
        operands.Losses = Out(context, "losses", [rows]);
        operands.LogSums = Out(context, "log_sums", [rows]);
        Launcher.Launch("CrossEntropyRows", blocks, operands, context.Handle);
    }
}

/// <summary>The gradient of LayerNormalization, or that of RMSNormalization, which has no mean and no bias.</summary>
/// <remarks>dx by rows; dγ and dβ by columns, first of parts of the rows and then of all, in a fixed order.</remarks>
internal sealed class CudaRowNormGradOperator(OperatorDefinition definition, KernelLauncher launcher, bool hasMean)
    : DeviceOperator(definition, launcher)
{
    private const long FewestRows = 8, MostParts = 256;

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x"), gain = context.In<float>("gain");
        if (gain.Length == 0 ? x.Length != 0 : x.Length % gain.Length != 0)
            throw new OperandException($"{Name}: 'x' has {x.Length} elements, which are no rows of 'gain', {gain.Length}.");
        context.Expect(context.In<float>("dy"), x.Length);
        nint columns = gain.Length, rows = columns == 0 ? 0 : x.Length / columns;
        long rowsOfPart = Math.Max(FewestRows, (rows + MostParts - 1) / MostParts);
        RowOperands operands = new()
        {
            X = Of(x),
            Dy = Floats(context, "dy"),
            Gain = Of(gain),
            Result = Out(context, "dx", x.Shape),
            GainGradient = Out(context, "dgain", gain.Shape),
            BiasGradient = hasMean ? Out(context, "dbias", gain.Shape) : default,
            Rows = rows,
            Columns = columns,
            RowsOfPart = rowsOfPart,
            Parts = (int)((rows + rowsOfPart - 1) / rowsOfPart),
            Width = WidthOf(columns),
            Epsilon = Number(context),
        };
        if (hasMean)
        {
            operands.Mean = Floats(context, "mean");
            operands.Inverse = Floats(context, "inverse");
            context.Expect(context.In<float>("mean"), rows);
            context.Expect(context.In<float>("inverse"), rows);
        }
        operands.Partials = Workspace(context, ((operands.Parts * 2 * columns) + rows) * sizeof(float));
        operands.Inverses = operands.Partials + (operands.Parts * 2 * columns * sizeof(float));
        nint columnBlocks = (columns + Launcher.BlockSize - 1) / Launcher.BlockSize;
        int rowsOfBlock = Launcher.BlockSize / operands.Width;
        Launcher.Launch("RowNormInputGrad", (rows + rowsOfBlock - 1) / rowsOfBlock, operands, context.Handle);
        Launcher.Launch("RowNormPartialSums", columnBlocks * operands.Parts, operands, context.Handle);
        Launcher.Launch("RowNormSums", (columns + ColumnBlock - 1) / ColumnBlock, operands, context.Handle);
    }
}
