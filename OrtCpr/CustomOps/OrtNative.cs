using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace OrtCpr.CustomOps;

/// <summary>
/// The functions of ORT's C API that custom operators need and the managed package does not expose. Addresses come from the
/// table that <c>OrtGetApiBase</c> gives, at the place that the field of the same name has in the package's own
/// <see cref="OrtApi"/>, so no index is written down here.</summary>
internal static unsafe partial class OrtNative
{
    /// <summary>The first C API version that has every function used here (shapes without allocation came with 1.24).</summary>
    private const uint ApiVersion = 24;

    private static readonly nint* Table = LoadTable();

    private static readonly delegate* unmanaged<OrtErrorCode, byte*, nint> CreateStatusFunction =
        (delegate* unmanaged<OrtErrorCode, byte*, nint>)Function("CreateStatus");

    private static readonly delegate* unmanaged<nint, byte*> GetErrorMessageFunction =
        (delegate* unmanaged<nint, byte*>)Function("GetErrorMessage");

    private static readonly delegate* unmanaged<nint, void> ReleaseStatusFunction =
        (delegate* unmanaged<nint, void>)Function("ReleaseStatus");

    private static readonly delegate* unmanaged<byte*, nint*, nint> CreateDomainFunction =
        (delegate* unmanaged<byte*, nint*, nint>)Function("CreateCustomOpDomain");

    private static readonly delegate* unmanaged<nint, void> ReleaseDomainFunction =
        (delegate* unmanaged<nint, void>)Function("ReleaseCustomOpDomain");

    private static readonly delegate* unmanaged<nint, CustomOpAbi*, nint> AddToDomainFunction =
        (delegate* unmanaged<nint, CustomOpAbi*, nint>)Function("CustomOpDomain_Add");

    private static readonly delegate* unmanaged<nint, nint, nint> AddDomainFunction =
        (delegate* unmanaged<nint, nint, nint>)Function("AddCustomOpDomain");

    private static readonly delegate* unmanaged<nint, nuint, nint*, nint> GetInputFunction =
        (delegate* unmanaged<nint, nuint, nint*, nint>)Function("KernelContext_GetInput");

    private static readonly delegate* unmanaged<nint, nuint, long*, nuint, nint*, nint> GetOutputFunction =
        (delegate* unmanaged<nint, nuint, long*, nuint, nint*, nint>)Function("KernelContext_GetOutput");

    private static readonly delegate* unmanaged<nint, void**, nint> GetDataFunction =
        (delegate* unmanaged<nint, void**, nint>)Function("GetTensorMutableData");

    private static readonly delegate* unmanaged<nint, OperandType*, long**, nuint*, nint> GetShapeFunction =
        (delegate* unmanaged<nint, OperandType*, long**, nuint*, nint>)Function("GetTensorElementTypeAndShapeDataReference");

    private static readonly delegate* unmanaged<
        nint, delegate* unmanaged<void*, nuint, void>, nuint, nuint, void*, nint> ParallelForFunction =
        (delegate* unmanaged<nint, delegate* unmanaged<void*, nuint, void>, nuint, nuint, void*, nint>)Function(
            "KernelContext_ParallelFor");

    private static readonly delegate* unmanaged<nint, void*, nuint, long*, nuint, OperandType, nint*, nint> WrapFunction =
        (delegate* unmanaged<nint, void*, nuint, long*, nuint, OperandType, nint*, nint>)Function("CreateTensorWithDataAsOrtValue");

    private static readonly delegate* unmanaged<nint, void> ReleaseValueFunction = (delegate* unmanaged<nint, void>)Function(
        "ReleaseValue");

    private static readonly delegate* unmanaged<nint, nint, nint*, nint> GetAllocatorFunction =
        (delegate* unmanaged<nint, nint, nint*, nint>)Function("KernelContext_GetAllocator");

    private static readonly delegate* unmanaged<nint, void> ReleaseAllocatorFunction = (delegate* unmanaged<nint, void>)Function(
        "ReleaseAllocator");

    private static readonly delegate* unmanaged<nint, nuint, void**, nint> AllocateFunction =
        (delegate* unmanaged<nint, nuint, void**, nint>)Function("AllocatorAlloc");

    private static readonly delegate* unmanaged<nint, void*, nint> FreeFunction = (delegate* unmanaged<nint, void*, nint>)Function(
        "AllocatorFree");

    private static readonly delegate* unmanaged<nint, void**, nint> GetStreamFunction =
        (delegate* unmanaged<nint, void**, nint>)Function("KernelContext_GetGPUComputeStream");

    private static readonly delegate* unmanaged<nint, byte*, long*, nuint*, nint> GetIntegersFunction =
        (delegate* unmanaged<nint, byte*, long*, nuint*, nint>)Function("KernelInfoGetAttributeArray_int64");

    private static readonly delegate* unmanaged<nint, byte*, float*, nint> GetFloatFunction =
        (delegate* unmanaged<nint, byte*, float*, nint>)Function("KernelInfoGetAttribute_float");

    /// <summary>OrtMemoryInfo of the CPU's arena; lives as long as the process.</summary>
    private static readonly nint CpuMemory = CreateCpuMemory();

    /// <summary>A status that owns a copy of <paramref name="message"/>; ORT releases it.</summary>
    public static nint CreateStatus(OrtErrorCode code, string message)
    {
        byte* text = (byte*)Marshal.StringToCoTaskMemUTF8(message);
        try
        {
            return CreateStatusFunction(code, text);
        }
        finally
        {
            Marshal.FreeCoTaskMem((nint)text);
        }
    }

    public static nint CreateDomain(byte* name)
    {
        nint domain;
        Check(CreateDomainFunction(name, &domain));
        return domain;
    }

    public static void ReleaseDomain(nint domain) => ReleaseDomainFunction(domain);

    public static void AddToDomain(nint domain, CustomOpAbi* operation) => Check(AddToDomainFunction(domain, operation));

    public static void AddDomain(nint sessionOptions, nint domain) => Check(AddDomainFunction(sessionOptions, domain));

    /// <summary>Input <paramref name="index"/> of a running kernel, an OrtValue that ORT owns.</summary>
    public static nint GetInput(nint context, int index)
    {
        nint value;
        Check(GetInputFunction(context, (nuint)index, &value));
        return value;
    }

    /// <summary>Output <paramref name="index"/>, allocated or bound with the given shape; ORT owns it.</summary>
    public static nint GetOutput(nint context, int index, ReadOnlySpan<long> shape)
    {
        nint value;
        fixed (long* dimensions = shape)
            Check(GetOutputFunction(context, (nuint)index, dimensions, (nuint)shape.Length, &value));
        return value;
    }

    public static void* GetData(nint value)
    {
        void* data;
        Check(GetDataFunction(value, &data));
        return data;
    }

    /// <summary>The value's own dimensions, valid while the value lives; null for a scalar.</summary>
    public static long* GetShape(nint value, out int rank)
    {
        OperandType type;
        long* dimensions;
        nuint count;
        Check(GetShapeFunction(value, &type, &dimensions, &count));
        rank = (int)count;
        return dimensions;
    }

    /// <summary>Calls <paramref name="body"/> on the threads of the session that runs the kernel, and waits for the last.</summary>
    public static void ParallelFor(nint context, delegate* unmanaged<void*, nuint, void> body, nint count, void* state) =>
        Check(ParallelForFunction(context, body, (nuint)count, 0, state));

    /// <summary>A tensor of float over memory of ours, for <see cref="ReleaseValue"/>.</summary>
    public static nint Wrap(float* data, ReadOnlySpan<long> shape)
    {
        long length = 1;
        foreach (long dimension in shape) length *= dimension;
        nint value;
        fixed (long* dimensions = shape)
        {
            Check(WrapFunction(CpuMemory, data, (nuint)(length * sizeof(float)), dimensions, (nuint)shape.Length, OperandType.Float,
                &value));
        }

        return value;
    }

    public static void ReleaseValue(nint value) => ReleaseValueFunction(value);

    /// <summary>The session's allocator, for <see cref="ReleaseAllocator"/>; its arena keeps what is freed.</summary>
    public static nint GetAllocator(nint context)
    {
        nint allocator;
        Check(GetAllocatorFunction(context, CpuMemory, &allocator));
        return allocator;
    }

    public static void ReleaseAllocator(nint allocator) => ReleaseAllocatorFunction(allocator);

    public static void* Allocate(nint allocator, nuint bytes)
    {
        void* memory;
        Check(AllocateFunction(allocator, bytes, &memory));
        return memory;
    }

    public static void Free(nint allocator, void* memory) => Check(FreeFunction(allocator, memory));

    /// <summary>The stream on which the node of a GPU provider runs.</summary>
    public static nint GetComputeStream(nint context)
    {
        void* stream;
        Check(GetStreamFunction(context, &stream));
        return (nint)stream;
    }

    /// <summary>An attribute of a node whose kernel is being made: exactly <paramref name="count"/> integers.</summary>
    public static long[] GetIntegers(nint info, ReadOnlySpan<byte> name, int count)
    {
        long[] values = new long[count];
        nuint size = (nuint)count;
        fixed (byte* text = name)
        fixed (long* data = values)
            Check(GetIntegersFunction(info, text, data, &size));
        return (int)size == count ? values : throw new OperandException($"An attribute has {size} integers, expected {count}.");
    }

    /// <summary>A float attribute of a node whose kernel is being made.</summary>
    public static float GetFloat(nint info, ReadOnlySpan<byte> name)
    {
        float value;
        fixed (byte* text = name)
            Check(GetFloatFunction(info, text, &value));
        return value;
    }

    private static nint CreateCpuMemory()
    {
        // OrtArenaAllocator, OrtMemTypeDefault.
        nint memory;
        Check(((delegate* unmanaged<int, int, nint*, nint>)Function("CreateCpuMemoryInfo"))(1, 0, &memory));
        return memory;
    }

    internal static void Check(nint status)
    {
        if (status == 0)
            return;
        string? message = Marshal.PtrToStringUTF8((nint)GetErrorMessageFunction(status));
        ReleaseStatusFunction(status);
        throw new InvalidOperationException($"ONNX Runtime: {message}");
    }

    private static nint* LoadTable()
    {
        // The first member of OrtApiBase is GetApi(version).
        nint* table = (nint*)((delegate* unmanaged<uint, nint>)OrtGetApiBase()[0])(ApiVersion);
        return table != null
            ? table
            : throw new NotSupportedException($"The loaded ONNX Runtime has no C API of version {ApiVersion}; 1.24 or newer is needed.");
    }

    /// <summary>The address of a function, by its name in <see cref="OrtApi"/>.</summary>
    /// <exception cref="NotSupportedException">The managed package does not know it.</exception>
    internal static nint Function(string name) => Table[SlotOf(name)];

    /// <summary>Which entry of the table a function is: its field's place in memory. The order in which reflection
    /// lists fields is not defined.</summary>
    /// <exception cref="NotSupportedException">The managed package does not know it.</exception>
    internal static int SlotOf(string name)
    {
        try
        {
            return (int)Marshal.OffsetOf<OrtApi>(name) / sizeof(nint);
        }
        catch (ArgumentException error)
        {
            throw new NotSupportedException(
                $"This version of Microsoft.ML.OnnxRuntime.Managed does not know the function '{name}'. Take version 1.24 or newer.",
                error);
        }
    }

    [LibraryImport("onnxruntime")]
    private static partial nint* OrtGetApiBase();
}
