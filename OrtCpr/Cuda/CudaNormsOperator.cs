using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Cuda;

/// <summary>Σx² of tensors that lie in one buffer: sums of chunks, then of each tensor's chunks, in double and rounded once.</summary>
internal sealed unsafe class CudaNormsOperator(OperatorDefinition definition, KernelLauncher launcher)
    : DeviceOperator(definition, launcher)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<long> starts = context.In<long>("starts"), lengths = context.In<long>("lengths");
        context.Expect(lengths, starts.Length);
        NormOperands operands = new()
        {
            Values = Floats(context, "x"),
            Starts = Of(starts),
            Lengths = Of(lengths),
            Norms = Out(context, "squared_norms", [starts.Length]),
            Tensors = checked((int)starts.Length),
        };
        long chunks = CudaChunks.Most(operands.Values.Count, operands.Tensors);
        long parts = operands.Tensors * (long)sizeof(UpdatePart);
        operands.ChunkCount = checked((int)chunks);
        operands.Parts = Workspace(context, parts + (chunks * (sizeof(double) + sizeof(int))));
        operands.Partials = operands.Parts + parts;
        operands.PartOfChunk = operands.Partials + (chunks * sizeof(double));
        Launcher.Launch("PrepareNorms", 1, operands, context.Handle);
        Launcher.Launch("SumSquares", (nint)chunks, operands, context.Handle);
        Launcher.Launch("AddSquares", operands.Tensors, operands, context.Handle);
    }
}
