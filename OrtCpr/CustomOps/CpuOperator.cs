namespace OrtCpr.CustomOps;

/// <summary>Name and element type of one input or output.</summary>
internal sealed record Operand(string Name, OperandType Type);

/// <summary>
/// One operator of domain <c>ortcpr</c> with a kernel for the CPU provider. All inputs are required and all outputs named.
/// It holds no state, so one object serves every session and every node; what a node's kernel has to keep lies behind <see cref="CreateState"/>.
/// </summary>
internal abstract class CpuOperator(string name, IReadOnlyList<Operand> inputs, IReadOnlyList<Operand> outputs)
{
    /// <summary>The operator's type in a graph.</summary>
    public string Name { get; } = name;

    public IReadOnlyList<Operand> Inputs { get; } = inputs;

    public IReadOnlyList<Operand> Outputs { get; } = outputs;

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
