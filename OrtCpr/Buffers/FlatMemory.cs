using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr.Buffers;

/// <summary>
/// The flat memory of a driver: one allocation for each kind of tensors, in blocks below 2 GiB, and every tensor a slice of it. Owns the
/// allocations; slices and segments point into them and are disposed first.</summary>
internal sealed class FlatMemory : IDisposable
{
    private readonly List<OrtValue> _blocks = [];
    private readonly List<OrtValue> _views = [];
    private readonly Dictionary<(FlatSegment, TensorRole, string), nint> _addresses = [];
    private readonly Device _device;

    /// <summary>Allocates for a layout, filled with zeros.</summary>
    public FlatMemory(Device device, FlatLayout layout)
    {
        _device = device;
        try
        {
            foreach (IGrouping<(TensorRole Role, string Kind, ElementType Type), FlatSegment> kind in layout.Segments
                .SelectMany(s => s.Kinds.Select(k => (Segment: s, Kind: k)))
                .GroupBy(s => (s.Kind.Role, s.Kind.Kind, s.Segment.Type), s => s.Segment))
            {
                var block = new List<FlatSegment>();
                foreach (FlatSegment segment in kind)
                {
                    if (block.Count > 0 && block.Sum(s => s.Elements) + segment.Elements > MaxElements(segment))
                    {
                        Allocate(block, kind.Key.Role, kind.Key.Kind);
                        block.Clear();
                    }
                    block.Add(segment);
                }
                Allocate(block, kind.Key.Role, kind.Key.Kind);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>A kind of tensors of a segment as one tensor, [Elements].</summary>
    public OrtValue Segment(FlatSegment segment, TensorRole role, string kind) =>
        View(segment.Type, [segment.Elements], _addresses[(segment, role, kind)]);

    /// <summary>One tensor.</summary>
    /// <param name="segment">Where it lies.</param>
    /// <param name="slot">The tensor.</param>
    /// <param name="index">Its number in the segment.</param>
    public OrtValue Slice(FlatSegment segment, TensorSlot slot, int index) => View(
        segment.Type, slot.Dimensions, _addresses[(segment, slot.Role, slot.Kind)] + (nint)(segment.Starts[index] * segment.ElementBytes));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (OrtValue view in _views) view.Dispose();
        foreach (OrtValue block in _blocks) block.Dispose();
        _views.Clear();
        _blocks.Clear();
    }

    private static long MaxElements(FlatSegment segment) => (int.MaxValue - FlatLayout.Alignment) / segment.ElementBytes;

    private void Allocate(List<FlatSegment> segments, TensorRole role, string kind)
    {
        FlatSegment first = segments[0];
        long elements = segments.Sum(s => s.Elements);
        // The allocator's own alignment may be less than ours.
        OrtValue block = _device.Allocate(first.Type, [elements + (FlatLayout.Alignment / first.ElementBytes)]);
        _blocks.Add(block);
        _device.Clear(block);
        nint address = Device.AddressOf(block);
        address = (address + FlatLayout.Alignment - 1) / FlatLayout.Alignment * FlatLayout.Alignment;
        foreach (FlatSegment segment in segments)
        {
            _addresses[(segment, role, kind)] = address;
            address += (nint)(segment.Elements * segment.ElementBytes);
        }
    }

    private OrtValue View(ElementType type, IReadOnlyList<long> dimensions, nint address)
    {
        long bytes = dimensions.Aggregate(1L, (n, d) => n * d) * type.BitsPerElement() / 8;
        OrtValue view = OrtValue.CreateTensorValueWithData(_device.Memory, (TensorElementType)(int)type, [.. dimensions], address, bytes);
        _views.Add(view);
        return view;
    }
}
