using OrtCpr.Graph.Operators;

namespace OrtCpr.CustomOps;

/// <summary>The kernel of one operator of domain <c>ortcpr</c>, for float32. Operands are those of the definition,
/// read by slot name. It holds no state, so one object serves every session and every node; what a node's kernel has to
/// keep lies in <see cref="CreateState"/>.</summary>
internal abstract class OperatorKernel(OperatorDefinition definition)
{
    /// <summary>The operator.</summary>
    public OperatorDefinition Definition { get; } = definition;

    /// <summary>The operator's type in a graph.</summary>
    public string Name => Definition.Name;

    /// <summary>Name of the execution provider that it runs on, and whose memory its operands lie in; null for the CPU's.</summary>
    public virtual string? Provider => null;

    /// <summary>Whether an input lies in the host's memory although the kernel runs elsewhere.</summary>
    public virtual bool IsOnHost(OperatorSlot input) => false;

    /// <summary>Element type of an input or output as ORT's interface has it.</summary>
    public static OperandType TypeOf(OperatorSlot slot) => slot.Type switch
    {
        SlotType.Int64 => OperandType.Int64,
        SlotType.Bool => OperandType.Bool,
        _ => OperandType.Float,
    };

    /// <summary>What the kernel of one node keeps, made with it: attributes, operators of ORT's that it calls. 0 for nothing.</summary>
    /// <param name="info">OrtKernelInfo of the node.</param>
    public virtual nint CreateState(nint info) => 0;

    /// <summary>Gives back what <see cref="CreateState"/> made, 0 excepted.</summary>
    public virtual void DestroyState(nint state)
    {
    }

    /// <summary>One run of one node. Exceptions become the error of the session's run.</summary>
    public abstract void Compute(KernelContext context);
}
