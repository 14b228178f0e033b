using System.Runtime.CompilerServices;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.CustomOps;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Gradients;

/// <summary>A sparse matrix as ONNX Runtime takes it, made by the C API: the managed package has no way to make one.
/// Holds the memory that the value is over.</summary>
internal sealed unsafe class SparseTensor : IDisposable
{
    private readonly Array _values;
    private readonly long[] _inner, _outer;

    private SparseTensor(Array values, void* data, TensorData dense, int count, long[] inner, long[] outer)
    {
        (_values, _inner, _outer) = (values, inner, outer);
        long[] shape = [.. dense.Dimensions];
        long length = count;
        nint value;
        fixed (long* dims = shape)
        {
            OrtNative.Check(
                ((delegate* unmanaged<nint, void*, long*, nuint, long*, nuint, int, nint*, nint>)OrtNative.Function(
                    "CreateSparseTensorWithValuesAsOrtValue"))(
                OrtMemoryInfo.DefaultInstance.DangerousGetHandle(), data, dims, 2, &length, 1, (int)dense.Type, &value));
        }
        Value = Wrap(value, OnnxValueType.ONNX_TYPE_SPARSETENSOR);
        long* i = (long*)Unsafe.AsPointer(ref inner[0]);
        OrtNative.Check(outer.Length == 0
            ? ((delegate* unmanaged<nint, long*, nuint, nint>)OrtNative.Function("UseCooIndices"))(value, i, (nuint)inner.Length)
            : ((delegate* unmanaged<nint, long*, nuint, long*, nuint, nint>)OrtNative.Function(
                "UseCsrIndices"))(value, i, (nuint)inner.Length, (long*)Unsafe.AsPointer(ref outer[0]), (nuint)outer.Length));
    }

    public OrtValue Value { get; }

    /// <summary>The elements of a matrix other than 0: by coordinates, or by compressed rows.</summary>
    public static SparseTensor Of(TensorData dense, bool compressed)
    {
        double[] all = dense.ToDoubles();
        int rows = (int)dense.Dimensions[0], columns = (int)dense.Dimensions[1];
        int[] places = [.. Enumerable.Range(0, all.Length).Where(i => all[i] != 0)];
        long[] inner =
            Pinned<long>(compressed ? places.Select(p => (long)(p % columns))
                : places.SelectMany(p => new long[] { p / columns, p % columns }));
        long[] outer = compressed ? Pinned<long>(Enumerable.Range(0, rows + 1).Select(r => (long)places.Count(p => p < r * columns))) : [];
        if (dense.Type == ElementType.Double)
        {
            double[] values = Pinned(places.Select(p => all[p]));
            return new(values, Unsafe.AsPointer(ref values[0]), dense, places.Length, inner, outer);
        }
        float[] singles = Pinned(places.Select(p => (float)all[p]));
        return new(singles, Unsafe.AsPointer(ref singles[0]), dense, places.Length, inner, outer);
    }

    public void Dispose()
    {
        Value.Dispose();
        GC.KeepAlive((_values, _inner, _outer));
    }

    private static T[] Pinned<T>(IEnumerable<T> items) where T : unmanaged
    {
        T[] given = [.. items], pinned = GC.AllocateArray<T>(given.Length, pinned: true);
        given.CopyTo(pinned, 0);
        return pinned;
    }

    [UnsafeAccessor(UnsafeAccessorKind.Constructor)]
    private static extern OrtValue Wrap(nint handle, OnnxValueType type);
}
