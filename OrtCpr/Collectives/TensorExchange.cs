using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.Buffers;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr.Collectives;

/// <summary>Tensors of a driver that are exchanged together: neighbours in flat memory as one, the padding between them included. Owns
/// views of them.</summary>
internal sealed class TensorExchange : IDisposable
{
    private readonly List<OrtValue> _views = [];

    /// <param name="store">Has the tensors.</param>
    /// <param name="plan">Its table.</param>
    /// <param name="role">Parameters, gradients or statistics.</param>
    /// <param name="owners">Whose, in an order that all ranks have.</param>
    /// <param name="isLaidOutAlike">Whether all ranks have them in the same places; else each is exchanged by itself.</param>
    public TensorExchange(TensorStore store, TrainingPlan plan, TensorRole role, IReadOnlyList<string> owners, bool isLaidOutAlike)
    {
        OrtValue Of(string owner) => store[plan.Find(role, owner)!.Key];
        if (!isLaidOutAlike)
        {
            foreach (string owner in owners) AddView(store.Device, Of(owner), Of(owner));
            return;
        }
        HashSet<string> left = [.. owners];
        foreach (FlatSegment segment in store.Layout!.Segments.Where(s => s.Kinds.Any(k => k.Role == role)))
        {
            for (int i = 0; i < segment.Owners.Count; i++)
            {
                if (!left.Remove(segment.Owners[i])) continue;
                int first = i;
                while (i + 1 < segment.Owners.Count && left.Remove(segment.Owners[i + 1])) i++;
                AddView(store.Device, Of(segment.Owners[first]), Of(segment.Owners[i]));
            }
        }
        foreach (string owner in owners.Where(left.Contains)) AddView(store.Device, Of(owner), Of(owner));
    }

    /// <summary>What is exchanged, a call each.</summary>
    public IReadOnlyList<OrtValue> Views => _views;

    /// <summary>Multiplies a tensor by a number, in place. On another device than the host it goes there and back.</summary>
    public static void Multiply(Device device, OrtValue view, double factor)
    {
        Span<byte> bytes = device.IsHost ? view.GetTensorMutableRawData() : device.Read(view).Bytes.ToArray();
        if ((ElementType)(int)view.GetTensorTypeAndShape().ElementDataType == ElementType.Double)
        {
            Span<double> wide = MemoryMarshal.Cast<byte, double>(bytes);
            TensorPrimitives.Multiply(wide, factor, wide);
        }
        else
        {
            Span<float> narrow = MemoryMarshal.Cast<byte, float>(bytes);
            TensorPrimitives.Multiply(narrow, (float)factor, narrow);
        }
        if (!device.IsHost) device.Write(view, bytes);
    }

    public void Dispose()
    {
        foreach (OrtValue view in _views) view.Dispose();
        _views.Clear();
    }

    private void AddView(Device device, OrtValue first, OrtValue last)
    {
        var type = (ElementType)(int)first.GetTensorTypeAndShape().ElementDataType;
        nint start = Device.AddressOf(first);
        long bytes = Device.AddressOf(last) + last.GetTensorSizeInBytes() - start;
        _views.Add(OrtValue.CreateTensorValueWithData(device.Memory, (TensorElementType)(int)type, [bytes * 8 / type.BitsPerElement()],
            start, bytes));
    }
}
