using System.Runtime.InteropServices;

namespace Grokking;

// Ctrl-C (and a request to terminate): the first one asks the run to finish its step and save, the second one ends the process at once.
internal sealed class Interruption : IDisposable
{
    private readonly PosixSignalRegistration[] _registrations;
    private volatile int _exitCode;

    public Interruption() => _registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Ask(context, 130)),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Ask(context, 143)),
    ];

    public bool IsRequested => _exitCode != 0;

    // 128 + the number of the signal, as shells expect.
    public int ExitCode => _exitCode;

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations) registration.Dispose();
    }

    // As the signal does; for tests.
    internal void Request() => _exitCode = 130;

    private void Ask(PosixSignalContext context, int exitCode)
    {
        context.Cancel = !IsRequested;
        _exitCode = exitCode;
    }
}
