using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>
/// The operands of one running node. Inputs are read one after the other in the order of the operator's
/// <see cref="CpuOperator.Inputs"/>, so the order stands in one place only: the code that reads.
/// </summary>
internal unsafe ref struct KernelContext(CpuOperator running, nint handle, nint state)
{
    private readonly CpuOperator _operator = running;
    private readonly nint _handle = handle;
    private int _next;

    /// <summary>What <see cref="CpuOperator.CreateState"/> made for this node.</summary>
    public nint State { get; } = state;

    /// <summary>OrtKernelContext of this run.</summary>
    public readonly nint Handle => _handle;

    /// <summary>A loop on the threads of the session that runs the node.</summary>
    public readonly ParallelLoop Threads => new(&SessionThreads.Run, (void*)_handle);

    /// <summary>The next input, a tensor of any length.</summary>
    public InputTensor<T> Next<T>()
        where T : unmanaged
    {
        nint value = OrtNative.GetInput(_handle, _next);
        string name = _operator.Inputs[_next].Name;
        _next++;
        long* dimensions = OrtNative.GetShape(value, out int rank);
        long length = 1;
        for (int i = 0; i < rank; i++)
            length *= dimensions[i];
        return new(name, (T*)OrtNative.GetData(value), (nint)length, dimensions, rank);
    }

    /// <summary>The next input, which must have one element.</summary>
    public InputTensor<T> NextSingle<T>()
        where T : unmanaged
    {
        InputTensor<T> tensor = Next<T>();
        Expect(tensor, 1);
        return tensor;
    }

    /// <summary>The value of the next input, which must have one element.</summary>
    public T NextScalar<T>()
        where T : unmanaged
        => *NextSingle<T>().Data;

    /// <summary>The element of a vector input that another input points at.</summary>
    public readonly T Element<T>(in InputTensor<T> tensor, in InputTensor<long> index)
        where T : unmanaged
        => (ulong)*index.Data < (ulong)tensor.Length
            ? tensor.Data[*index.Data]
            : throw new OperandException(
                $"{_operator.Name}: {index.Name} {*index.Data} is outside '{tensor.Name}', which has {tensor.Length} elements.");

    /// <summary>Refuses a tensor of another length.</summary>
    public readonly void Expect<T>(in InputTensor<T> tensor, nint length)
        where T : unmanaged
    {
        if (tensor.Length != length)
            throw new OperandException($"{_operator.Name}: input '{tensor.Name}' has {tensor.Length} elements, expected {length}.");
    }

    /// <summary>The memory of output <paramref name="index"/>: a buffer that the caller bound, or a new one.</summary>
    public readonly float* Output(int index, ReadOnlySpan<long> shape) =>
        (float*)OrtNative.GetData(OrtNative.GetOutput(_handle, index, shape));
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
