using System.Runtime.InteropServices;
using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Cuda;

/// <summary>An operator whose kernels run where a launcher runs them. Operands are addresses there, and the host reads none
/// of them: only shapes.</summary>
internal abstract unsafe class DeviceOperator(OperatorDefinition definition, KernelLauncher launcher) : OperatorKernel(definition)
{
    /// <summary>Elements that one block of an element by element kernel takes before others begin anew.</summary>
    private const int ElementsOfBlock = 2048, MostBlocks = 16384;

    /// <summary>Columns of a block where sums of parts are added up.</summary>
    protected const int ColumnBlock = 32;

    /// <summary>Runs the kernels.</summary>
    protected KernelLauncher Launcher { get; } = launcher;

    /// <inheritdoc/>
    public override string? Provider => Launcher.Provider;

    /// <inheritdoc/>
    public override nint CreateState(nint info)
    {
        Room* room = (Room*)NativeMemory.AllocZeroed((nuint)sizeof(Room));
        OperatorAttribute? attribute = Definition.Attributes.FirstOrDefault(a => a.Kind == AttributeKind.Float);
        if (attribute is not null)
            room->Number = OrtNative.GetFloat(info, [.. System.Text.Encoding.UTF8.GetBytes(attribute.Name), 0]);
        return (nint)room;
    }

    /// <summary>The operator's float attribute; 0 where it has none.</summary>
    protected static float Number(in KernelContext context) => ((Room*)context.State)->Number;

    /// <inheritdoc/>
    public override void DestroyState(nint state)
    {
        Room* room = (Room*)state;
        if (room->Address != 0)
            Launcher.Free(room->Address);
        NativeMemory.Free(room);
    }

    /// <summary>Blocks of a kernel that goes over so many elements.</summary>
    protected static nint BlocksOf(long elements) => (nint)Math.Min((elements + ElementsOfBlock - 1) / ElementsOfBlock, MostBlocks);

    /// <summary>Threads of a row: a power of two with a few elements for each thread.</summary>
    protected int WidthOf(long columns)
    {
        int width = 1;
        while (width < Launcher.BlockSize && width * 4 < columns)
            width *= 2;
        return width;
    }

    /// <summary>Room for intermediate results of a node, kept from run to run: runs follow each other on one stream.</summary>
    protected nint Workspace(in KernelContext context, long bytes)
    {
        Room* room = (Room*)context.State;
        if (room->Bytes < bytes)
        {
            if (room->Address != 0)
                Launcher.Free(room->Address);
            (room->Address, room->Bytes) = (0, 0);
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
        public float Number;
    }
}
