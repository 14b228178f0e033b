using System.Text;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr.Collectives;

/// <summary>The ranks of a job as a driver uses them: numbers and texts of the host, and tensors of the driver's device. A rank alone
/// exchanges nothing. Does not own the collective.</summary>
internal sealed class Ranks
{
    private readonly ICollective? _collective;
    private readonly Device _device;

    /// <param name="collective">Null for a process alone.</param>
    /// <param name="device">Where the tensors are that are exchanged.</param>
    /// <exception cref="CollectiveException">The collective is for the memory of another device.</exception>
    public Ranks(ICollective? collective, Device device)
    {
        _collective = collective is { Size: > 1 } ? collective : null;
        _device = device;
        if (_collective is null) return;
        if (_collective.IsOnDevice && device.IsHost)
        {
            throw new CollectiveException($"The collective exchanges a GPU's memory, and the driver is on '{device.Name}'. Use MPI, or the "
                + "device 'cuda'.");
        }
        if (device.Memory is null)
        {
            throw new CollectiveException($"Tensors on '{device.Name}' have no addresses, so ranks cannot exchange them. Train with one "
                + "process there, or with several on 'cpu' or 'cuda'.");
        }
    }

    public int Rank => _collective?.Rank ?? 0;

    public int Size => _collective?.Size ?? 1;

    /// <summary>Whether there are others.</summary>
    public bool AreMany => _collective is not null;

    /// <summary>Whether this one writes what is written once.</summary>
    public bool IsFirst => Rank == 0;

    public void Barrier() => _collective?.Barrier();

    /// <summary>The sum over all ranks of a tensor on the device, in place.</summary>
    public void Sum(OrtValue value)
    {
        long elements = value.GetTensorTypeAndShape().ElementCount;
        Exchange(value, address => _collective!.AllReduce(address, elements, TypeOf(value), _device.Stream));
    }

    /// <summary>The sums over all ranks of floats of the host, in place.</summary>
    public void SumFloats(nint address, long elements) => _collective?.AllReduce(address, elements, ElementType.Float);

    /// <summary>A tensor on the device, of one rank on all.</summary>
    public void Broadcast(OrtValue value, int root = 0) =>
        Exchange(value, address => _collective!.Broadcast(address, value.GetTensorSizeInBytes(), root, _device.Stream));

    /// <summary>The sums over all ranks of elements of any type that the collective adds, on the host, in place.</summary>
    public void SumOnHost(Span<byte> bytes, long elements, ElementType type)
    {
        if (_collective is null || elements == 0) return;
        using OrtValue host = Device.AllocateOnHost(type, [elements]);
        bytes.CopyTo(host.GetTensorMutableRawData());
        OfHost(host, _device.Stream, (address, stream) => _collective.AllReduce(address, elements, type, stream));
        host.GetTensorMutableRawData().CopyTo(bytes);
    }

    /// <summary>The sums over all ranks of numbers on the host, in place.</summary>
    public void Sum(Span<double> values)
    {
        if (_collective is null || values.Length == 0) return;
        using OrtValue host = Device.AllocateOnHost(ElementType.Double, [values.Length]);
        values.CopyTo(host.GetTensorMutableDataAsSpan<double>());
        OfHost(host, _device.Stream, (address, stream) => _collective.AllReduce(address, host.GetTensorTypeAndShape().ElementCount,
            ElementType.Double, stream));
        host.GetTensorDataAsSpan<double>().CopyTo(values);
    }

    /// <summary>The numbers of all ranks, a row each.</summary>
    public double[][] Gather(params ReadOnlySpan<double> values)
    {
        double[] all = new double[values.Length * Size];
        values.CopyTo(all.AsSpan(Rank * values.Length));
        Sum(all);
        return [.. all.Chunk(values.Length)];
    }

    /// <summary>Whether any rank says so.</summary>
    public bool Any(bool value)
    {
        Span<double> count = [value ? 1 : 0];
        Sum(count);
        return count[0] > 0;
    }

    /// <summary>Bytes of one rank on the host, on all; all have the same number of them.</summary>
    public void Broadcast(Span<byte> bytes, int root = 0)
    {
        if (_collective is null || bytes.Length == 0) return;
        using OrtValue host = Device.AllocateOnHost(ElementType.UInt8, [bytes.Length]);
        bytes.CopyTo(host.GetTensorMutableRawData());
        OfHost(host, _device.Stream, (address, stream) => _collective.Broadcast(address, host.GetTensorSizeInBytes(), root, stream));
        host.GetTensorMutableRawData().CopyTo(bytes);
    }

    /// <summary>The bytes of all ranks one after the other; all have the same number of them.</summary>
    public byte[] Gather(byte[] bytes)
    {
        byte[] all = new byte[bytes.Length * Size];
        bytes.CopyTo(all.AsSpan(Rank * bytes.Length));
        if (_collective is null || bytes.Length == 0) return all;
        using OrtValue source = Device.AllocateOnHost(ElementType.UInt8, [bytes.Length]);
        using OrtValue target = Device.AllocateOnHost(ElementType.UInt8, [all.Length]);
        bytes.CopyTo(source.GetTensorMutableRawData());
        if (!_collective.IsOnDevice)
        {
            _collective.AllGather(Device.AddressOf(source), Device.AddressOf(target), bytes.Length);
        }
        else
        {
            using OrtValue there = _device.Allocate(ElementType.UInt8, [bytes.Length]);
            _device.Bring(source, there);
            OfHost(target, _device.Stream, (address, stream) =>
                _collective.AllGather(Device.AddressOf(there), address, bytes.Length, stream));
        }
        target.GetTensorDataAsSpan<byte>().CopyTo(all);
        return all;
    }

    /// <summary>The texts of all ranks.</summary>
    public string[] Gather(string text)
    {
        byte[] own = Encoding.UTF8.GetBytes(text);
        double[][] lengths = Gather(own.Length);
        string[] texts = new string[Size];
        for (int rank = 0; rank < Size; rank++)
        {
            byte[] bytes = rank == Rank ? own : new byte[(int)lengths[rank][0]];
            Broadcast(bytes, rank);
            texts[rank] = Encoding.UTF8.GetString(bytes);
        }
        return texts;
    }

    private static ElementType TypeOf(OrtValue value) => (ElementType)(int)value.GetTensorTypeAndShape().ElementDataType;

    /// <summary>With the address of a tensor on the device, or of a copy on the host where the collective wants that.</summary>
    private void Exchange(OrtValue value, Action<nint> exchange)
    {
        if (_collective is null) return;
        if (_device.IsHost || _collective.IsOnDevice)
        {
            exchange(Device.AddressOf(value));
            return;
        }
        using OrtValue host = Device.AllocateOnHost(TypeOf(value), value.GetTensorTypeAndShape().Shape);
        _device.Bring(value, host);
        exchange(Device.AddressOf(host));
        _device.Bring(host, value);
        // The copy reads the host's memory until then.
        _device.Wait();
    }

    /// <summary>With the address of a tensor on the host, or of a copy on the device where the collective wants that.</summary>
    private void OfHost(OrtValue host, nint stream, Action<nint, nint> exchange)
    {
        if (!_collective!.IsOnDevice)
        {
            exchange(Device.AddressOf(host), 0);
            return;
        }
        using OrtValue copy = _device.Allocate(TypeOf(host), host.GetTensorTypeAndShape().Shape);
        _device.Bring(host, copy);
        exchange(Device.AddressOf(copy), stream);
        _device.Bring(copy, host);
        _device.Wait();
    }
}
