using System.Runtime.InteropServices;
using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Cuda;

/// <summary>An operator whose kernels run where a launcher runs them. Operands are addresses there, and the host reads none
/// of them: only shapes.</summary>
internal abstract unsafe class DeviceOperator(OperatorDefinition definition, KernelLauncher launcher) : OperatorKernel(definition)
{
    /// <summary>Runs the kernels.</summary>
    protected KernelLauncher Launcher { get; } = launcher;

    /// <inheritdoc/>
    public override string? Provider => Launcher.Provider;

    /// <inheritdoc/>
    public override nint CreateState(nint info) => (nint)NativeMemory.AllocZeroed((nuint)sizeof(Room));

    /// <inheritdoc/>
    public override void DestroyState(nint state)
    {
        Room* room = (Room*)state;
        if (room->Address != 0)
            Launcher.Free(room->Address);
        NativeMemory.Free(room);
    }

    /// <summary>Room for intermediate results of a node, kept from run to run: runs follow each other on one stream.</summary>
    protected nint Workspace(in KernelContext context, long bytes)
    {
        Room* room = (Room*)context.State;
        if (room->Bytes < bytes)
        {
            if (room->Address != 0)
                Launcher.Free(room->Address);
            *room = default;
            room->Address = Launcher.Allocate((nint)bytes);
            room->Bytes = bytes;
        }
        return room->Address;
    }

    /// <summary>An input of float elements.</summary>
    protected static Operand Floats(in KernelContext context, string slot) => Of(context.In<float>(slot));

    /// <summary>An input, or nothing where the operator has no slot of the name.</summary>
    protected static Operand Optional<T>(in KernelContext context, string slot)
        where T : unmanaged
        => context.Has(slot) ? Of(context.In<T>(slot)) : default;

    /// <summary>A tensor as an operand.</summary>
    protected static Operand Of<T>(in InputTensor<T> tensor)
        where T : unmanaged
        => new() { Address = (long)tensor.Data, Count = tensor.Length };

    /// <summary>An output as an operand.</summary>
    protected static Operand Out(in KernelContext context, string slot, ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long dimension in shape)
            count *= dimension;
        return new() { Address = (long)context.Out(slot, shape), Count = count };
    }

    private struct Room
    {
        public nint Address;
        public long Bytes;
    }
}
