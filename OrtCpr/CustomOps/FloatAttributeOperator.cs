using System.Runtime.InteropServices;
using OrtCpr.Graph.Operators;

namespace OrtCpr.CustomOps;

/// <summary>A kernel that needs one float attribute of its node, where the operator has it.</summary>
internal abstract unsafe class FloatAttributeOperator(OperatorDefinition definition, string attribute) : OperatorKernel(definition)
{
    private readonly byte[] _name = [.. System.Text.Encoding.UTF8.GetBytes(attribute), 0];

    /// <inheritdoc/>
    public override nint CreateState(nint info)
    {
        if (Definition.Attributes.All(a => a.Name != attribute))
            return 0;
        float* made = (float*)NativeMemory.Alloc(sizeof(float));
        *made = OrtNative.GetFloat(info, _name);
        return (nint)made;
    }

    /// <inheritdoc/>
    public override void DestroyState(nint state) => NativeMemory.Free((void*)state);

    /// <summary>The attribute; 0 where the operator does not have it.</summary>
    protected static float Attribute(in KernelContext context) => context.State == 0 ? 0 : *(float*)context.State;
}
