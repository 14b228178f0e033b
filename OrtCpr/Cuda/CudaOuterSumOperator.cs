using System.Collections.Concurrent;
using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Cuda;

/// <summary>Sums over the first and the last axes, in two kernels: parts of the outer axis, then all parts.</summary>
internal sealed class CudaOuterSumOperator(OperatorDefinition definition, KernelLauncher launcher) : DeviceOperator(definition, launcher)
{
    /// <summary>Elements that a thread takes at least, and blocks that are enough for any GPU.</summary>
    private const long FewestElements = 8, MostBlocks = 1024, MostParts = 256;

    private readonly ConcurrentDictionary<nint, (int First, int Last)> _axes = new();

    /// <inheritdoc/>
    public override nint CreateState(nint info)
    {
        long[] around = OrtNative.GetIntegers(info, "around\0"u8, 2);
        nint state = base.CreateState(info);
        _axes[state] = ((int)around[0], (int)around[1]);
        return state;
    }

    /// <inheritdoc/>
    public override void DestroyState(nint state)
    {
        _axes.TryRemove(state, out _);
        base.DestroyState(state);
    }

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x");
        (int first, int last) = _axes[context.State];
        if (first + last > x.Shape.Length)
            throw new OperandException($"{Name}: 'x' has rank {x.Shape.Length}, expected at least {first + last}.");
        ReadOnlySpan<long> kept = x.Shape[first..^last];
        OuterSumOperands operands = new()
        {
            X = Of(x),
            Result = Out(context, "sum", kept),
            Outer = Product(x.Shape[..first]),
            Columns = Product(kept),
            Inner = Product(x.Shape[^last..]),
        };
        if (operands.Columns == 0)
            return;
        bool isInner = operands.Inner != 1;
        operands.Width = WidthOf(operands.Inner);
        long blocks = isInner ? operands.Columns : (operands.Columns + Launcher.BlockSize - 1) / Launcher.BlockSize;
        // A block of runs has more threads than runs where those are short.
        long ofBlock = FewestElements * Launcher.BlockSize;
        long fewest = isInner ? ofBlock / Math.Clamp(operands.Inner, 1, ofBlock) : FewestElements;
        long parts = Math.Clamp((operands.Outer + fewest - 1) / Math.Max(1, fewest), 1, Math.Clamp(MostBlocks / blocks, 1, MostParts));
        operands.OuterOfPart = (operands.Outer + parts - 1) / parts;
        operands.Parts = parts;
        operands.Partials = Workspace(context, parts * operands.Columns * sizeof(float));
        Launcher.Launch(isInner ? "SumRunsOfParts" : "SumRowsOfParts", checked((nint)(blocks * parts)), operands, context.Handle);
        Launcher.Launch("AddParts", (nint)((operands.Columns + ColumnBlock - 1) / ColumnBlock), operands, context.Handle);
    }

    private static long Product(ReadOnlySpan<long> dimensions)
    {
        long product = 1;
        foreach (long dimension in dimensions)
            product *= dimension;
        return product;
    }
}
