using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Cuda;

/// <summary>The gradient of rows that are picked from a table, without atomic additions: sums of segments of the places, then
/// of each row's segments in order, so that results repeat bit for bit.</summary>
internal sealed class CudaEmbeddingGradOperator(OperatorDefinition definition, KernelLauncher launcher)
    : DeviceOperator(definition, launcher)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> table = context.In<float>("table");
        InputTensor<long> indices = context.In<long>("indices");
        (nint rows, nint width) = EmbeddingGradOperator.Sizes(Name, table);
        context.Expect(context.In<float>("dy"), indices.Length * width);
        EmbeddingOperands operands = new()
        {
            Indices = Of(indices),
            Dy = Floats(context, "dy"),
            Gradient = Out(context, "gradient", table.Shape),
            Rows = rows,
            Width = width,
        };
        long partials = indices.Length * width * sizeof(float);
        operands.Partials = Workspace(context, partials + (2L * rows * sizeof(int)));
        operands.First = operands.Partials + partials;
        operands.Last = operands.First + (rows * sizeof(int));
        nint blocksOfPlaces = (indices.Length + Launcher.BlockSize - 1) / Launcher.BlockSize;
        Launcher.Launch("ClearEmbedding", BlocksOf(Math.Max(operands.Gradient.Count, rows)), operands, context.Handle);
        Launcher.Launch("MarkPlaces", blocksOfPlaces, operands, context.Handle);
        Launcher.Launch("SumSegments", indices.Length, operands, context.Handle);
        if (indices.Length > EmbeddingOperands.Segment)
            Launcher.Launch("AddSegments", indices.Length, operands, context.Handle);
    }
}
