using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>The operands of one running node, by the slot names of the operator's definition.</summary>
internal readonly unsafe ref struct KernelContext(OperatorKernel running, nint handle, nint state)
{
    private readonly OperatorKernel _operator = running;

    /// <summary>What <see cref="OperatorKernel.CreateState"/> made for this node.</summary>
    public nint State { get; } = state;

    /// <summary>OrtKernelContext of this run.</summary>
    public nint Handle { get; } = handle;

    /// <summary>A loop on the threads of the session that runs the node.</summary>
    public ParallelLoop Threads => new(&SessionThreads.Run, (void*)Handle);

    /// <summary>Whether the operator has an input of that name.</summary>
    public bool Has(string slot)
    {
        foreach (OperatorSlot input in _operator.Definition.Inputs)
        {
            if (input.Name == slot)
                return true;
        }
        return false;
    }

    /// <summary>An input, a tensor of any length.</summary>
    public InputTensor<T> In<T>(string slot)
        where T : unmanaged
    {
        nint value = OrtNative.GetInput(Handle, _operator.Definition.InputIndex(slot));
        long* dimensions = OrtNative.GetShape(value, out int rank);
        long length = 1;
        for (int i = 0; i < rank; i++)
            length *= dimensions[i];
        return new(slot, (T*)OrtNative.GetData(value), (nint)length, dimensions, rank);
    }

    /// <summary>An input of as many elements as another has.</summary>
    public float* Like(string slot, nint length)
    {
        InputTensor<float> tensor = In<float>(slot);
        Expect(tensor, length);
        return tensor.Data;
    }

    /// <summary>The element of a vector input that an index points at.</summary>
    /// <param name="tensor">The vector.</param>
    /// <param name="index">The slot of the index.</param>
    /// <param name="at">Its value.</param>
    public T Element<T>(in InputTensor<T> tensor, string index, long at)
        where T : unmanaged
        => (ulong)at < (ulong)tensor.Length
            ? tensor.Data[at]
            : throw new OperandException($"{_operator.Name}: {index} {at} is outside '{tensor.Name}', which has {tensor.Length} elements.");

    /// <summary>Refuses a tensor of another length.</summary>
    public void Expect<T>(in InputTensor<T> tensor, nint length)
        where T : unmanaged
    {
        if (tensor.Length != length)
            throw new OperandException($"{_operator.Name}: input '{tensor.Name}' has {tensor.Length} elements, expected {length}.");
    }

    /// <summary>The memory of an output: a buffer that the caller bound, or a new one.</summary>
    public float* Out(string slot, ReadOnlySpan<long> shape) =>
        (float*)OrtNative.GetData(OrtNative.GetOutput(Handle, _operator.Definition.OutputIndex(slot), shape));
}

/// <summary>A dense input tensor; ORT owns its memory and shape, both valid until the node has run.</summary>
internal readonly unsafe struct InputTensor<T>(string name, T* data, nint length, long* dimensions, int rank)
    where T : unmanaged
{
    public string Name { get; } = name;

    public T* Data { get; } = data;

    public nint Length { get; } = length;

    public ReadOnlySpan<long> Shape => new(dimensions, rank);
}
