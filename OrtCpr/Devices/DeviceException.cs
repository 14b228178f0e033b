using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>A device is not known, not there, or lacks something; the message says what to install, or which device to take.</summary>
public sealed class DeviceException : OrtCprException
{
    internal DeviceException(string message, Exception? inner = null) : base(message, inner)
    {
    }

    /// <summary>Whether the device's memory is full.</summary>
    internal bool IsOutOfMemory { get; init; }
}
